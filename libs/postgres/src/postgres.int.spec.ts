import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import type { DataSource, MigrationInterface, QueryRunner } from 'typeorm';
import { testPostgres, type TestPostgres } from '../../../test/support/servers.js';
import { CommitUncertain, PostgresUnavailable } from './errors.js';
import { inTransaction } from './in-transaction.js';
import { openPostgres, poolOf, type PostgresOptions } from './open-postgres.js';

class MakeThing1700000000000 implements MigrationInterface {
  name = 'MakeThing1700000000000';
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('CREATE TABLE thing (id bigint PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp())');
    // Long enough for replicas that start together to meet here.
    await runner.query('SELECT pg_sleep(0.2)');
  }
  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE thing');
  }
}

describe('Postgres', () => {
  let database: TestPostgres;
  let admin: pg.Client;
  let sources: DataSource[] = [];

  beforeAll(async () => {
    database = await testPostgres();
    admin = new pg.Client({ connectionString: database.url });
    await admin.connect();
  });
  afterEach(async () => {
    await Promise.all(sources.filter(({ isInitialized }) => isInitialized).map((source) => source.destroy()));
    sources = [];
    await admin.query('DROP SCHEMA IF EXISTS things CASCADE');
  });
  afterAll(async () => {
    await admin?.end();
    await database?.drop();
  });

  const open = async (more: Partial<PostgresOptions> = {}): Promise<DataSource> => {
    const source = await openPostgres({
      url: database.url,
      schema: 'things',
      entities: [],
      migrations: [MakeThing1700000000000],
      applicationName: 'spec',
      poolSize: 4,
      ...more,
    });
    sources.push(source);
    return source;
  };
  /** Ends the backends of the pool's connections, as a restart of Postgres would. */
  const cut = (applicationName = 'spec') =>
    admin.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1', [
      applicationName,
    ]);
  const countThings = async (): Promise<string> =>
    (await admin.query('SELECT count(*) FROM things.thing')).rows[0].count;

  it('has its schema, its migrations, its search path and its bounds', async () => {
    const pool = poolOf(await open({ statementTimeoutMs: 1_234 }));

    const { rows } = await pool.query(
      `SELECT current_setting('search_path') AS path, current_setting('statement_timeout') AS limit,
              current_setting('application_name') AS name, (SELECT count(*) FROM thing) AS things,
              (SELECT count(*) FROM things.migrations) AS migrations`,
    );

    expect(rows).toEqual([{ path: 'things', limit: '1234ms', name: 'spec', things: 0, migrations: 1 }]);
  });

  it('runs migrations once when replicas start together', async () => {
    const opened = await Promise.all([open(), open(), open()]);

    expect(opened).toHaveLength(3);
    const { rows } = await admin.query('SELECT name FROM things.migrations');
    expect(rows).toEqual([{ name: 'MakeThing1700000000000' }]);
  });

  it('waits until Postgres is there', async () => {
    const waiting = new AbortController();
    const said: string[] = [];
    const log = {
      debug: () => undefined,
      info: () => undefined,
      error: () => undefined,
      warn: (message: string) => {
        said.push(message);
        if (said.length === 2) waiting.abort(new Error('waited long enough'));
      },
    };

    const opening = open({ url: 'postgres://nobody@127.0.0.1:1/none', log, signal: waiting.signal });

    await expect(opening).rejects.toThrow('waited long enough');
    expect(said).toEqual(['Postgres is not there yet', 'Postgres is not there yet']);
  });

  it('reads bigints as numbers, and refuses to round', async () => {
    const pool = poolOf(await open());

    expect((await pool.query('SELECT 1790000000123::bigint AS at')).rows).toEqual([{ at: 1_790_000_000_123 }]);
    await expect(pool.query('SELECT 9007199254740993::bigint')).rejects.toThrow('beyond 2^53');
  });

  it('commits what a transaction did, and gives its result', async () => {
    const pool = poolOf(await open());

    const ids = await inTransaction(pool, async (tx) => {
      const rows = await tx.query<{ id: number }>('INSERT INTO thing (id) VALUES ($1), ($2) RETURNING id', [1, 2]);
      return rows.map(({ id }) => id);
    });

    expect(ids).toEqual([1, 2]);
    expect(await countThings()).toBe('2');
  });

  it('rolls back when the work fails, with its own error, and the connection stays good', async () => {
    const pool = poolOf(await open({ poolSize: 1 }));

    const failed = inTransaction(pool, async (tx) => {
      await tx.query('INSERT INTO thing (id) VALUES (1)');
      throw new RangeError('no');
    });

    await expect(failed).rejects.toBeInstanceOf(RangeError);
    expect(await countThings()).toBe('0');
    expect(await inTransaction(pool, (tx) => tx.query('SELECT 1 AS one'))).toEqual([{ one: 1 }]);
  });

  it('does not take a swallowed statement error for a commit', async () => {
    const pool = poolOf(await open());

    const failed = inTransaction(pool, async (tx) => {
      await tx.query('INSERT INTO thing (id) VALUES (1)');
      await tx.query('SELECT 1/0').catch(() => undefined);
    });

    await expect(failed).rejects.toThrow('rolled back');
    expect(await countThings()).toBe('0');
  });

  it('keeps the code of a statement error for its caller', async () => {
    const pool = poolOf(await open());
    const insert = () => inTransaction(pool, (tx) => tx.query('INSERT INTO thing (id) VALUES (7)'));
    await insert();

    await expect(insert()).rejects.toMatchObject({ code: '23505' });
  });

  it('says that it is unavailable when the connection ends before COMMIT, and recovers', async () => {
    const pool = poolOf(await open());

    const failed = inTransaction(pool, async (tx) => {
      await tx.query('INSERT INTO thing (id) VALUES (1)');
      await cut();
      await tx.query('SELECT 1');
    });

    await expect(failed).rejects.toBeInstanceOf(PostgresUnavailable);
    expect(await countThings()).toBe('0');
    expect(await inTransaction(pool, (tx) => tx.query('SELECT 1 AS one'))).toEqual([{ one: 1 }]);
  });

  it('says that a COMMIT is uncertain when the connection ends during it', async () => {
    const pool = poolOf(await open());

    const failed = inTransaction(pool, async (tx) => {
      await tx.query('INSERT INTO thing (id) VALUES (1)');
      await cut();
    });

    await expect(failed).rejects.toBeInstanceOf(CommitUncertain);
  });

  it('says that it is unavailable when no connection comes', async () => {
    const pool = poolOf(await open({ poolSize: 1, connectTimeoutMs: 200 }));
    const client = await pool.connect();

    const failed = inTransaction(pool, (tx) => tx.query('SELECT 1'));

    await expect(failed).rejects.toMatchObject({ code: 'postgres_unavailable', retryInMs: 1_000 });
    client.release();
  });

  it('ends a statement that runs too long', async () => {
    const pool = poolOf(await open({ statementTimeoutMs: 100 }));

    await expect(inTransaction(pool, (tx) => tx.query('SELECT pg_sleep(5)'))).rejects.toMatchObject({ code: '57014' });
  });
});
