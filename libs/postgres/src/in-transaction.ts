import type { Pool, PoolClient } from 'pg';
import { asUnavailable, CommitUncertain, isConnectionLoss, PostgresUnavailable, textOf } from './errors.js';

/** One transaction under way. Statements run one after the other, in the order given. */
export interface Tx {
  /** Runs one statement with `$1`-style parameters; its rows. */
  query<R = Record<string, unknown>>(sql: string, params?: readonly unknown[]): Promise<R[]>;
}

export interface TransactionOptions {
  /** Default `read committed`. */
  readonly isolation?: 'read committed' | 'repeatable read' | 'serializable';
  /** Longest time one of its statements may take, where that isn't the connection's own bound. */
  readonly statementTimeoutMs?: number;
  /** Longest time between two of its statements; then Postgres ends the connection, and with it what others wait for. */
  readonly idleTimeoutMs?: number;
}

const ANSWER_SLACK_MS = 1_000;

/** A connection on which statements can be run: a pool's client, or one of one's own. */
type Connection = Pick<PoolClient, 'query'>;

/**
 * Runs `work` inside one transaction: COMMIT when it resolves, ROLLBACK when it rejects (then with its error).
 *
 * @throws PostgresUnavailable where no connection came within the time, or it was lost before COMMIT: nothing took effect
 * @throws CommitUncertain where it was lost during COMMIT
 */
export async function inTransaction<T>(
  pool: Pool,
  work: (tx: Tx) => Promise<T>,
  options: TransactionOptions = {},
): Promise<T> {
  const client = await pool.connect().catch((error: unknown) => {
    throw asUnavailable(error);
  });
  // A connection that ends while checked out tells so only here; its statements fail as well, which is where it is handled.
  const ignore = (): void => undefined;
  client.on('error', ignore);
  let broken = true;
  try {
    const result = await transactionOn(client, work, options);
    broken = false;
    return result;
  } catch (error) {
    broken = error instanceof CommitUncertain || error instanceof PostgresUnavailable;
    throw error;
  } finally {
    client.off('error', ignore);
    client.release(broken);
  }
}

/** As `inTransaction`, on a connection that the caller holds. After a connection loss that connection must not be used again. */
export async function transactionOn<T>(
  connection: Connection,
  work: (tx: Tx) => Promise<T>,
  { isolation, statementTimeoutMs, idleTimeoutMs }: TransactionOptions = {},
): Promise<T> {
  // The client waits a little longer than the server works.
  const patience = statementTimeoutMs === undefined ? {} : { query_timeout: statementTimeoutMs + ANSWER_SLACK_MS };
  const tx: Tx = {
    query: async <R>(sql: string, params: readonly unknown[] = []) => {
      const { rows } = await connection.query({ text: sql, values: params as unknown[], ...patience });
      return rows as R[];
    },
  };
  let result: T;
  try {
    await connection.query(isolation ? `BEGIN ISOLATION LEVEL ${isolation}` : 'BEGIN');
    if (statementTimeoutMs !== undefined)
      await connection.query(`SELECT set_config('statement_timeout', $1, true)`, [String(statementTimeoutMs)]);
    if (idleTimeoutMs !== undefined)
      await connection.query(`SELECT set_config('idle_in_transaction_session_timeout', $1, true)`, [
        String(idleTimeoutMs),
      ]);
    result = await work(tx);
  } catch (error) {
    if (isConnectionLoss(error)) throw asUnavailable(error);
    try {
      await connection.query('ROLLBACK');
    } catch (rollbackError) {
      if (isConnectionLoss(rollbackError)) throw asUnavailable(rollbackError);
    }
    throw error;
  }
  await commit(connection);
  return result;
}

async function commit(connection: Connection): Promise<void> {
  let command: string;
  try {
    ({ command } = await connection.query('COMMIT'));
  } catch (error) {
    if (isConnectionLoss(error)) throw new CommitUncertain({ cause: error });
    throw error;
  }
  // Postgres answers COMMIT of a transaction in which a statement failed with ROLLBACK, and no error.
  if (command === 'ROLLBACK') throw new Error('the transaction was rolled back: a statement in it had failed');
}

/** For `/health/ready`: null when Postgres answers, else why not. */
export function checkPostgres(pool: Pool): () => Promise<string | null> {
  return async () => {
    try {
      await pool.query('SELECT 1');
      return null;
    } catch (error) {
      return textOf(error);
    }
  };
}
