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
import { LEDGER_SCHEMA, PostgresLedgerStores } from './postgres.ledger-stores.js';

let postgres: TestPostgres;
let dataSource: DataSource;
const owned: LedgerStore[] = [];

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
  for (const store of owned) await store.release();
  await dataSource?.destroy();
  await postgres?.drop();
});

async function emptied(): Promise<void> {
  const tables = LEDGER_ENTITIES.map((entity) => dataSource.getMetadata(entity).tableName);
  await dataSource.query(`TRUNCATE ${tables.filter((table) => table !== 'relay_position').join(', ')}`);
}

/** Ends the owner's connection at the server, as a database that fails over would. */
async function endOwner(): Promise<void> {
  const client = new pg.Client(postgres.url);
  await client.connect();
  await client.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE application_name = 'quota-ledger owner' AND datname = current_database()`,
  );
  await client.end();
}

describeLedgerStore('the ledger store in Postgres', async () => {
  await emptied();
  const reader = {
    query: async <R>(sql: string, params: readonly unknown[] = []) =>
      (await poolOf(dataSource).query(sql, params as unknown[])).rows as R[],
  };
  const stores = new PostgresLedgerStores({ url: postgres.url, reader, log: silentLog });
  return {
    own: async () => {
      await endOwner();
      const store = await stores.own(AbortSignal.timeout(10_000), () => undefined);
      owned.push(store);
      return store;
    },
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
    const insert = `INSERT INTO usage_minute VALUES ('demo', 0, 'ccai', 5, 1, 1, 1, 1)`;
    await expect(dataSource.query(insert)).rejects.toThrow('violates check constraint');
  });
});
