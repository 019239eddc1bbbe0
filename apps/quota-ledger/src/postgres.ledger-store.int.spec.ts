import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { DataSource } from 'typeorm';
import pg from 'pg';
import { openPostgres, poolOf } from '#postgres';
import { silentLog } from '#telemetry';
import { type TestPostgres, testPostgres } from '../../../test/support/servers.js';
import { LEDGER_ENTITIES } from './entities/ledger.entities.js';
import { describeLedgerStore } from './ledger.store.conformance.spec.js';
import type { LedgerStore } from './ledger.store.js';
import { Ledger1763820000000 } from './migrations/1763820000000-ledger.js';
import { LEDGER_SCHEMA, PostgresLedgerStores } from './postgres.ledger-store.js';

let postgres: TestPostgres;
let dataSource: DataSource;
const opened: LedgerStore[] = [];

beforeAll(async () => {
  postgres = await testPostgres();
  dataSource = await openPostgres({
    url: postgres.url,
    schema: LEDGER_SCHEMA,
    entities: LEDGER_ENTITIES,
    migrations: [Ledger1763820000000],
    applicationName: 'test',
    poolSize: 2,
  });
});

afterAll(async () => {
  for (const store of opened) await store.close();
  await dataSource?.destroy();
  await postgres?.drop();
});

async function emptied(): Promise<void> {
  const tables = LEDGER_ENTITIES.map((entity) => dataSource.getMetadata(entity).tableName);
  await dataSource.query(`TRUNCATE ${tables.join(', ')}`);
}

/** Ends the owners' connections at the server, as a database that fails over would. */
async function endAll(): Promise<void> {
  const client = new pg.Client(postgres.url);
  await client.connect();
  await client.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE application_name = 'quota-ledger owner' AND datname = current_database()`,
  );
  await client.end();
}

describeLedgerStore('the ledger store in Postgres', async () => {
  await endAll();
  await emptied();
  const stores = new PostgresLedgerStores({ url: postgres.url, pool: poolOf(dataSource), log: silentLog });
  return {
    open: async () => {
      const store = await stores.open(AbortSignal.timeout(10_000));
      opened.push(store);
      return store;
    },
    endAll,
  };
});

describe("the ledger's tables", () => {
  it('are as the entities say', async () => {
    const { upQueries } = await dataSource.driver.createSchemaBuilder().log();
    // Checks stand in the migrations alone: what TypeORM would drop for not knowing them is no difference.
    const differences = upQueries.filter(({ query }) => !/DROP CONSTRAINT "\w+_check\d*"$/.test(query));
    expect(differences.map(({ query }) => query)).toEqual([]);
  });

  it('refuse counts that do not add up', async () => {
    const insert = `INSERT INTO usage_minute VALUES ('demo', 0, 'ccai', 5, 1, 1, 1, 1, 0, 0)`;
    await expect(dataSource.query(insert)).rejects.toThrow('violates check constraint');
  });
});
