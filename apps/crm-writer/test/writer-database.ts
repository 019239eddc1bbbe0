import type { Pool } from 'pg';
import { systemClock } from '#clock';
import { openPostgres, poolOf } from '#postgres';
import { testPostgres } from '../../../test/support/servers.js';
import { ENTITIES } from '../src/entities/entities.js';
import { MIGRATIONS } from '../src/migrations/migrations.js';
import { PostgresWriteStore } from '../src/postgres.write-store.js';

const SCHEMA = 'crm_writer';

/** A spec file's own database with the writer's tables. */
export interface WriterDatabase {
  readonly pool: Pool;
  readonly store: PostgresWriteStore;
  /** Rows of one statement; for looking at what is stored, and for arranging it. */
  sql(text: string, params?: unknown[]): Promise<Record<string, unknown>[]>;
  /** Takes every row out of every table. */
  empty(): Promise<void>;
  drop(): Promise<void>;
}

/** Makes it. `name` is how its connections call themselves. */
export async function writerDatabase(name: string, poolSize = 10): Promise<WriterDatabase> {
  const postgres = await testPostgres();
  const dataSource = await openPostgres({
    url: postgres.url,
    schema: SCHEMA,
    entities: ENTITIES,
    migrations: MIGRATIONS,
    applicationName: name,
    poolSize,
  });
  const pool = poolOf(dataSource);
  const tables = ENTITIES.map((entity) => `${SCHEMA}.${dataSource.getMetadata(entity).tableName}`).join(', ');
  return {
    pool,
    store: new PostgresWriteStore(pool, systemClock),
    sql: async (text, params = []) => (await pool.query<Record<string, unknown>>(text, params)).rows,
    empty: async () => void (await pool.query(`TRUNCATE ${tables} CASCADE`)),
    drop: async () => {
      await dataSource.destroy();
      await postgres.drop();
    },
  };
}
