import { type Clock, systemClock } from '#clock';
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

export interface OwnershipOptions {
  readonly url: string;
  /** What is owned, spelled alike by all who compete for it (`quota-ledger`, `crm-writer demo`). */
  readonly key: string;
  /** `search_path` of the connection, where transactions are run on it. */
  readonly schema?: string;
  readonly applicationName: string;
  /** Called once when the lock is no longer certainly ours. Not called after `release`. */
  readonly onLost?: (error: OwnershipLost) => void;
  /** Called once when another process is found to hold it: from now on this one stands by. */
  readonly onStandby?: () => void;
  /** How often a waiting replica looks; default 250 ms. */
  readonly pollMs?: number;
  /** How often the holder makes sure that its connection lives; default 2 s. */
  readonly heartbeatMs?: number;
  /** Longest wait for such an answer, or for any statement; default 5 s. */
  readonly answerTimeoutMs?: number;
  /** Ends the wait. */
  readonly signal?: AbortSignal;
  readonly log?: Log;
  readonly clock?: Clock;
}

/** A statement and the name under which a connection keeps it; the same name always means the same text. */
export interface Prepared {
  readonly name: string;
  readonly text: string;
}

/** Exclusive ownership of a key, for as long as one dedicated connection lives. */
export interface Ownership {
  readonly key: string;
  /** False from the moment loss is noticed, or after `release`. */
  isHeld(): boolean;
  /** Aborted (with an `OwnershipLost`) when it is lost or released. */
  readonly ended: AbortSignal;
  /**
   * A transaction on the very connection that holds the lock: it can't commit once the lock is gone. One at a time, in the order called.
   *
   * @throws as `inTransaction`; OwnershipLost where it is no longer held
   */
  transaction<T>(work: (tx: Tx) => Promise<T>, options?: TransactionOptions): Promise<T>;
  /**
   * One statement on that connection, a transaction by itself, prepared once under its name: for hot paths, where every
   * round trip counts. In turn with transactions.
   *
   * @throws PostgresUnavailable never: an unanswered statement may have taken effect, so that is CommitUncertain; OwnershipLost where it is no longer held
   */
  statement<R = Record<string, unknown>>(prepared: Prepared, params: readonly unknown[]): Promise<R[]>;
  /** Gives the lock back at once, after the transaction under way. */
  release(): Promise<void>;
}

const POLL_MS = 250;
const HEARTBEAT_MS = 2_000;
const ANSWER_LIMIT_MS = 5_000;
const CONNECT_LIMIT_MS = 5_000;
/** So that Postgres notices a dead owner's host, and gives its lock away, in about 15 s even without its FIN. */
const SERVER_KEEPALIVE = {
  tcp_keepalives_idle: 5,
  tcp_keepalives_interval: 2,
  tcp_keepalives_count: 5,
  // Also where it dies with an answer on its way to it, which keepalives don't watch.
  tcp_user_timeout: 15_000,
};

/**
 * Waits until the key is ours (a session advisory lock of Postgres on a connection of its own), polling, and through
 * any outage of Postgres. The lock ends with the connection: loss is noticed by its end or an unanswered heartbeat,
 * and told by `onLost` and `ended`.
 *
 * @throws the signal's reason when aborted; what a wrong password throws
 */
export async function acquireOwnership(options: OwnershipOptions): Promise<Ownership> {
  const clock = options.clock ?? systemClock;
  const log = options.log ?? silentLog;
  const pollMs = options.pollMs ?? POLL_MS;
  let said = '';
  const say = (message: string): void => {
    if (said !== message) log.info(message, { key: options.key });
    said = message;
  };
  let client = null as pg.Client | null;
  let standby = false;
  try {
    for (;;) {
      options.signal?.throwIfAborted();
      try {
        client ??= await connected(options);
        if (await tryLock(client, options.key)) {
          say('ownership taken');
          return new HeldOwnership(client, options, clock);
        }
        if (!standby) options.onStandby?.();
        standby = true;
        say('waiting for ownership: another process holds it');
      } catch (error) {
        await client?.end().catch(() => undefined);
        client = null;
        if (!isConnectionLoss(error)) throw error;
        say(`waiting for ownership: Postgres is not available (${textOf(error)})`);
      }
      await clock.sleep(pollMs, options.signal);
    }
  } catch (error) {
    await client?.end().catch(() => undefined);
    throw error;
  }
}

async function connected(options: OwnershipOptions): Promise<pg.Client> {
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
  await client.connect();
  return client;
}

async function tryLock(client: pg.Client, key: string): Promise<boolean> {
  const { rows } = await client.query<{ locked: boolean }>(
    'SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS locked',
    [`sluice owner ${key}`],
  );
  return rows[0]?.locked === true;
}

class HeldOwnership implements Ownership {
  readonly key: string;
  readonly #client: pg.Client;
  readonly #options: OwnershipOptions;
  readonly #ended = new AbortController();
  /** Transactions and heartbeats, one after the other. */
  #turn: Promise<unknown> = Promise.resolve();
  #busy = 0;

  constructor(client: pg.Client, options: OwnershipOptions, clock: Clock) {
    this.key = options.key;
    this.#client = client;
    this.#options = options;
    client.once('end', () => this.#lose('its connection ended'));
    client.on('error', (error) => this.#lose(textOf(error), error));
    void this.#heartbeats(clock, options.heartbeatMs ?? HEARTBEAT_MS);
  }

  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  isHeld(): boolean {
    return !this.#ended.signal.aborted;
  }

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

  statement<R>({ name, text }: Prepared, params: readonly unknown[]): Promise<R[]> {
    return this.#inTurn(async () => {
      this.#ended.signal.throwIfAborted();
      try {
        const { rows } = await this.#client.query({ name, text, values: params as unknown[] });
        return rows as R[];
      } catch (error) {
        if (!isConnectionLoss(error)) throw error;
        this.#lose(textOf(error), error);
        throw new CommitUncertain({ cause: error });
      }
    });
  }

  async release(): Promise<void> {
    if (!this.isHeld()) return;
    await this.#inTurn(async () => {
      this.#end(new OwnershipLost(this.key, 'it was released'));
      await this.#client.end().catch(() => undefined);
    });
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
    const error = new OwnershipLost(this.key, reason, { cause });
    this.#end(error);
    this.#options.log?.error('ownership lost', { key: this.key, reason });
    // Its transaction under way fails at once instead of waiting for a connection that may be silent.
    (this.#client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
    this.#options.onLost?.(error);
  }

  #end(reason: OwnershipLost): void {
    this.#ended.abort(reason);
  }
}
