import { type Clock, settledWithin, systemClock } from '#clock';
import { type Log, silentLog } from '#telemetry';
import pg from 'pg';
import {
  asUnavailable,
  CommitUncertain,
  isConnectionLoss,
  OwnershipLost,
  PostgresUnavailable,
  textOf,
} from './errors.js';
import { transactionOn, type TransactionOptions, type Tx } from './in-transaction.js';
import { numericBigints, sessionOptions } from './open-postgres.js';

export interface LockSessionOptions {
  readonly url: string;
  /** `search_path` of the connection, where statements are run on it. */
  readonly schema?: string;
  readonly applicationName: string;
  /** Said when it is lost. */
  readonly name: string;
  /** How often it makes sure that its connection lives; default 2 s. */
  readonly heartbeatMs?: number;
  /** Longest wait for such an answer, or for any statement; default 5 s. */
  readonly answerTimeoutMs?: number;
  /** Called once when the locks are no longer certainly ours. Not called after `close`. */
  readonly onLost?: (error: OwnershipLost) => void;
  readonly log?: Log;
  readonly clock?: Clock;
}

/** A statement and the name under which a connection keeps it; the same name always means the same text. */
export interface Prepared {
  readonly name: string;
  readonly text: string;
}

const HEARTBEAT_MS = 2_000;
const ANSWER_LIMIT_MS = 5_000;
const CONNECT_LIMIT_MS = 5_000;
/** So that Postgres notices a dead owner's host, and gives its locks away, in about 15 s even without its FIN. */
const SERVER_KEEPALIVE = {
  tcp_keepalives_idle: 5,
  tcp_keepalives_interval: 2,
  tcp_keepalives_count: 5,
  // Also where it dies with an answer on its way to it, which keepalives don't watch.
  tcp_user_timeout: 15_000,
};

/** A key's lock, as `pg_locks` shows it: the two halves of its hash. */
const HOLDERS_OF = `locktype = 'advisory' AND objsubid = 1
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND classid::bigint = (hashtextextended($1, 0) >> 32) & 4294967295
  AND objid::bigint = hashtextextended($1, 0) & 4294967295 AND granted`;

/**
 * One connection of its own on which session advisory locks are held: they end with it, and what is committed on it was
 * committed while they were held. Statements and transactions run one after the other, in the order called.
 */
export class LockSession {
  readonly #client: pg.Client;
  readonly #options: LockSessionOptions;
  readonly #ended = new AbortController();
  /** Transactions and heartbeats, one after the other. */
  #turn: Promise<unknown> = Promise.resolve();
  #busy = 0;
  /** Who was found to stand still at the last look, and since when. */
  #suspects: ReadonlyMap<number, string> = new Map();

  private constructor(client: pg.Client, options: LockSessionOptions) {
    this.#client = client;
    this.#options = options;
    client.once('end', () => this.#lose('its connection ended'));
    client.on('error', (error) => this.#lose(textOf(error), error));
    void this.#heartbeats(options.clock ?? systemClock, options.heartbeatMs ?? HEARTBEAT_MS);
  }

  /** @throws PostgresUnavailable, or what a wrong password throws */
  static async open(options: LockSessionOptions): Promise<LockSession> {
    const client = new pg.Client({
      connectionString: options.url,
      application_name: options.applicationName,
      connectionTimeoutMillis: CONNECT_LIMIT_MS,
      query_timeout: options.answerTimeoutMs ?? ANSWER_LIMIT_MS,
      keepAlive: true,
      types: numericBigints as pg.CustomTypesConfig,
      options: sessionOptions({
        ...SERVER_KEEPALIVE,
        ...(options.schema === undefined ? {} : { search_path: options.schema }),
        statement_timeout: options.answerTimeoutMs ?? ANSWER_LIMIT_MS,
      }),
    });
    client.on('error', () => undefined);
    try {
      await client.connect();
    } catch (error) {
      await client.end().catch(() => undefined);
      throw asUnavailable(error);
    }
    return new LockSession(client, options);
  }

  /** Aborted (with an `OwnershipLost`) when the session is lost or closed: all its locks are gone. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  isHeld(): boolean {
    return !this.#ended.signal.aborted;
  }

  /** Takes the key's lock where nobody has it. */
  async tryLock(key: string): Promise<boolean> {
    const rows = await this.#query<{ locked: boolean }>(
      'SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS locked',
      [key],
    );
    return rows[0]?.locked === true;
  }

  /** Gives one key's lock back, after what is under way. */
  async unlock(key: string): Promise<void> {
    await this.#query('SELECT pg_advisory_unlock(hashtextextended($1, 0))', [key]);
  }

  /** Takes the key's shared lock, which any number of sessions may have: to be counted among them. */
  async join(key: string): Promise<void> {
    await this.#query('SELECT pg_advisory_lock_shared(hashtextextended($1, 0))', [key]);
  }

  /** How many sessions have the key's lock, shared or not. */
  async holders(key: string): Promise<number> {
    const rows = await this.#query<{ pids: number }>(
      `SELECT count(DISTINCT pid)::integer AS pids FROM pg_locks WHERE ${HOLDERS_OF}`,
      [key],
    );
    return rows[0]?.pids ?? 0;
  }

  /**
   * Ends the other sessions that have the key's lock, shared or not, and whose process stands still though its connection
   * lives: it has asked nothing for `idleMs`, or hasn't taken an answer for `busyMs` (longer than any of its statements may
   * take; one at work for it isn't idle). Ended is only who was found so by the last call too, and has said nothing in
   * between: call it regularly. A lock taken a moment ago and a database clock that was set lead nobody to end the living.
   * Needs the same Postgres role as theirs. Returns how many.
   */
  async endStalled(
    key: string,
    { idleMs, busyMs }: { readonly idleMs: number; readonly busyMs: number },
  ): Promise<number> {
    const silent = await this.#query<{ pid: number; since: string }>(
      `SELECT DISTINCT pid, state_change::text AS since FROM pg_locks JOIN pg_stat_activity USING (pid)
       WHERE ${HOLDERS_OF} AND pid <> pg_backend_pid()
         AND abs(extract(epoch FROM clock_timestamp() - state_change)) * 1000
           > CASE WHEN state LIKE 'idle%' THEN $2::float8 ELSE $3::float8 END`,
      [key, idleMs, busyMs],
    );
    const before = this.#suspects;
    this.#suspects = new Map(silent.map(({ pid, since }) => [pid, since]));
    const certain = silent.filter(({ pid, since }) => before.get(pid) === since).map(({ pid }) => pid);
    if (certain.length === 0) return 0;
    const ended = await this.#query(
      `SELECT pg_terminate_backend(pid) FROM (SELECT DISTINCT pid FROM pg_locks WHERE ${HOLDERS_OF} AND pid = ANY ($2)) AS holder`,
      [key, certain],
    );
    return ended.length;
  }

  /**
   * A transaction on this connection: it can't commit once the locks are gone. One at a time, in the order called.
   *
   * @throws as `inTransaction`; OwnershipLost where the session has ended
   */
  transaction<T>(work: (tx: Tx) => Promise<T>, options?: TransactionOptions): Promise<T> {
    return this.#inTurn(async () => {
      this.#ended.signal.throwIfAborted();
      try {
        return await transactionOn(this.#client, work, options);
      } catch (error) {
        if (error instanceof CommitUncertain || error instanceof PostgresUnavailable) this.#lose(textOf(error), error);
        throw error;
      }
    });
  }

  /**
   * One statement on this connection, a transaction by itself, prepared once under its name: for hot paths, where every
   * round trip counts. In turn with transactions.
   *
   * @throws PostgresUnavailable never: an unanswered statement may have taken effect, so that is CommitUncertain; OwnershipLost where the session has ended
   */
  statement<R = Record<string, unknown>>({ name, text }: Prepared, params: readonly unknown[]): Promise<R[]> {
    return this.#inTurn(() => this.#run<R>({ name, text, values: params as unknown[] }));
  }

  /** Gives all locks back at once, after what is under way. */
  async close(): Promise<void> {
    if (!this.isHeld()) return;
    const closed = this.#inTurn(async () => {
      this.#ended.abort(new OwnershipLost(this.#options.name, 'it was released'));
      await this.#client.end().catch(() => undefined);
    });
    if (!(await settledWithin(closed, ANSWER_LIMIT_MS, this.#options.clock ?? systemClock))) this.#destroy();
  }

  #query<R>(text: string, values: unknown[]): Promise<R[]> {
    return this.#inTurn(() => this.#run<R>({ text, values }));
  }

  async #run<R>(query: { name?: string; text: string; values: unknown[] }): Promise<R[]> {
    this.#ended.signal.throwIfAborted();
    try {
      const { rows } = await this.#client.query(query);
      return rows as R[];
    } catch (error) {
      if (!isConnectionLoss(error)) throw error;
      this.#lose(textOf(error), error);
      throw new CommitUncertain({ cause: error });
    }
  }

  #inTurn<T>(step: () => Promise<T>): Promise<T> {
    this.#busy += 1;
    const done = this.#turn.then(step).finally(() => {
      this.#busy -= 1;
    });
    this.#turn = done.catch(() => undefined);
    return done;
  }

  async #heartbeats(clock: Clock, everyMs: number): Promise<void> {
    while (this.isHeld()) {
      await clock.sleep(everyMs, this.#ended.signal).catch(() => undefined);
      // Statements of a transaction under way show as well that the connection lives.
      if (!this.isHeld() || this.#busy > 0) continue;
      try {
        await this.#inTurn(() => this.#client.query('SELECT 1'));
      } catch (error) {
        this.#lose(`no answer to a heartbeat (${textOf(error)})`, asUnavailable(error));
      }
    }
  }

  #lose(reason: string, cause?: unknown): void {
    if (!this.isHeld()) return;
    const { name, log = silentLog, onLost } = this.#options;
    const error = new OwnershipLost(name, reason, { cause });
    this.#ended.abort(error);
    log.error('ownership lost', { key: name, reason });
    // What is under way fails at once instead of waiting for a connection that may be silent.
    this.#destroy();
    onLost?.(error);
  }

  #destroy(): void {
    (this.#client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
  }
}
