import { type Clock, systemClock, backoffMs } from '#clock';
import { type Log, silentLog } from '#telemetry';
import pg from 'pg';
import { DataSource, type DataSourceOptions, type MixedList } from 'typeorm';
import { isConnectionLoss, textOf } from './errors.js';

export interface PostgresOptions {
  /** `postgres://user:password@host:port/database`; a direct connection, no transaction pooler between. */
  readonly url: string;
  /** The app's own schema; made if absent, and the `search_path` of every connection. */
  readonly schema: string;
  readonly entities: MixedList<Function>;
  readonly migrations: MixedList<Function>;
  /** Shown in `pg_stat_activity`. */
  readonly applicationName: string;
  /** Most connections held at once. */
  readonly poolSize: number;
  /** Longest one statement may run; default 10 s. Migrations are not bound by it. */
  readonly statementTimeoutMs?: number;
  /** Longest wait for a connection; default 5 s. */
  readonly connectTimeoutMs?: number;
  readonly log?: Log;
  readonly clock?: Clock;
  /** Ends the wait for a Postgres that isn't there. */
  readonly signal?: AbortSignal;
}

const FIRST_RETRY_MS = 200;
const LONGEST_RETRY_MS = 5_000;
const STATEMENT_LIMIT_MS = 10_000;
const CONNECT_LIMIT_MS = 5_000;
/** How much longer than a statement may run its answer is waited for. */
const SILENCE_LIMIT_MS = 5_000;

/**
 * Waits until Postgres is there (saying so in the log), makes the schema, runs the migrations under an advisory lock so
 * that replicas starting together don't collide, and returns the open data source. `bigint` columns are read as numbers
 * (a value beyond 2^53 is an error), in every query of its pool.
 *
 * @throws what a migration or a wrong password throws; the signal's reason where it is aborted
 */
export async function openPostgres(options: PostgresOptions): Promise<DataSource> {
  if (!/^[a-z_][a-z0-9_]*$/.test(options.schema)) throw new TypeError(`schema ${options.schema} is no plain name`);
  const log = options.log ?? silentLog;
  const clock = options.clock ?? systemClock;
  for (let failures = 1; ; failures += 1) {
    options.signal?.throwIfAborted();
    try {
      return await openOnce(options, log);
    } catch (error) {
      if (!isConnectionLoss(error)) throw error;
      const retryInMs = backoffMs(failures, { firstMs: FIRST_RETRY_MS, mostMs: LONGEST_RETRY_MS });
      log.warn('Postgres is not there yet', { reason: textOf(error), retryInMs });
      await clock.sleep(retryInMs, options.signal);
    }
  }
}

async function openOnce(options: PostgresOptions, log: Log): Promise<DataSource> {
  const client = new pg.Client({
    connectionString: options.url,
    application_name: `${options.applicationName} migrations`,
    connectionTimeoutMillis: options.connectTimeoutMs ?? CONNECT_LIMIT_MS,
    keepAlive: true,
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    // Session lock: held until this connection ends, whatever happens to the process.
    await client.query('SELECT pg_advisory_lock(hashtextextended($1, 0))', [`sluice migrations ${options.schema}`]);
    await client.query(`CREATE SCHEMA IF NOT EXISTS "${options.schema}"`);
    await migrate(options, log);
  } finally {
    await client.end().catch(() => undefined);
  }
  const dataSource = new DataSource(optionsFor(options, options.statementTimeoutMs ?? STATEMENT_LIMIT_MS, log));
  return dataSource.initialize();
}

async function migrate(options: PostgresOptions, log: Log): Promise<void> {
  const dataSource = new DataSource({ ...optionsFor(options, 0, log), poolSize: 2 } as DataSourceOptions);
  await dataSource.initialize();
  try {
    const done = await dataSource.runMigrations({ transaction: 'each' });
    if (done.length > 0)
      log.info('migrations run', { schema: options.schema, migrations: done.map(({ name }) => name) });
  } finally {
    await dataSource.destroy();
  }
}

function optionsFor(options: PostgresOptions, statementTimeoutMs: number, log: Log): DataSourceOptions {
  return {
    type: 'postgres',
    url: options.url,
    schema: options.schema,
    entities: options.entities,
    migrations: options.migrations,
    migrationsTableName: 'migrations',
    synchronize: false,
    logging: false,
    installExtensions: false,
    applicationName: options.applicationName,
    poolSize: options.poolSize,
    connectTimeoutMS: options.connectTimeoutMs ?? CONNECT_LIMIT_MS,
    poolErrorHandler: (error: unknown) => log.warn('an idle Postgres connection ended', { reason: textOf(error) }),
    extra: {
      keepAlive: true,
      options: sessionOptions({ search_path: options.schema, statement_timeout: statementTimeoutMs }),
      types: numericBigints,
      // The server bounds statements; this bounds the wait for a server that has fallen silent.
      ...(statementTimeoutMs > 0 ? { query_timeout: statementTimeoutMs + SILENCE_LIMIT_MS } : {}),
    },
  };
}

/** Parameters of a session, set as the connection is made (`-c name=value`; the manual, "libpq: options"). */
export function sessionOptions(parameters: Readonly<Record<string, string | number>>): string {
  return Object.entries(parameters)
    .map(([name, value]) => `-c ${name}=${value}`)
    .join(' ');
}

/** `bigint` as number: epoch ms, counts and sequence numbers fit 2^53; what doesn't is an error rather than rounded. */
export const numericBigints = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') => {
    if (oid === pg.types.builtins.INT8 && format !== 'binary') return safeInteger;
    return pg.types.getTypeParser(oid, format as 'text');
  },
};

function safeInteger(value: string): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw new RangeError(`bigint ${value} is beyond 2^53`);
  return number;
}

/** The pool under a data source: what the hot path speaks SQL to. */
export function poolOf(dataSource: DataSource): pg.Pool {
  return (dataSource.driver as unknown as { master: pg.Pool }).master;
}
