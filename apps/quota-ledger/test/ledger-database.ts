import type { Pool } from 'pg';
import type { DataSource } from 'typeorm';
import { LockSession, openPostgres, poolOf, type Tx } from '#postgres';
import { testPostgres } from '../../../test/support/servers.js';
import { LEDGER_ENTITIES } from '../src/entities/ledger.entities.js';
import { Ledger1763820000000 } from '../src/migrations/1763820000000-ledger.js';
import { LEDGER_SCHEMA } from '../src/postgres.ledger-store.js';

/** The ledger's tables in a database of the spec file's own. */
export interface LedgerDatabase {
  readonly url: string;
  readonly pool: Pool;
  /** A connection as an owner has it. */
  readonly session: LockSession;
  readonly tx: Pick<Tx, 'query'>;
  /** Removes all rows. */
  empty(): Promise<void>;
  drop(): Promise<void>;
}

/** Makes the ledger's tables in a fresh database. */
export async function ledgerDatabase(): Promise<LedgerDatabase> {
  const postgres = await testPostgres();
  const dataSource: DataSource = await openPostgres({
    url: postgres.url,
    schema: LEDGER_SCHEMA,
    entities: LEDGER_ENTITIES,
    migrations: [Ledger1763820000000],
    applicationName: 'test',
    poolSize: 4,
  });
  const session = await LockSession.open({
    url: postgres.url,
    schema: LEDGER_SCHEMA,
    applicationName: 'test owner',
    name: 'test',
  });
  const pool = poolOf(dataSource);
  const tx: Pick<Tx, 'query'> = {
    query: async <R>(sql: string, params: readonly unknown[] = []) =>
      (await pool.query(sql, params as unknown[])).rows as R[],
  };
  const tables = LEDGER_ENTITIES.map((entity) => dataSource.getMetadata(entity).tableName);
  return {
    url: postgres.url,
    pool,
    session,
    tx,
    empty: async () => {
      await pool.query(`TRUNCATE ${tables.join(', ')}`);
    },
    drop: async () => {
      await session.close();
      await dataSource.destroy();
      await postgres.drop();
    },
  };
}
