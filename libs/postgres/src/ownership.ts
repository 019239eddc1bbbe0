import { type Clock, systemClock } from '#clock';
import { type Log, silentLog } from '#telemetry';
import { type OwnershipLost, PostgresUnavailable, textOf } from './errors.js';
import type { TransactionOptions, Tx } from './in-transaction.js';
import { LockSession, type Prepared } from './lock-session.js';

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

/**
 * Waits until the key is ours (a session advisory lock of Postgres on a connection of its own), polling, and through
 * any outage of Postgres. The lock ends with the connection: loss is noticed by its end or an unanswered heartbeat,
 * and told by `onLost` and `ended`.
 *
 * @throws the signal's reason when aborted; what a wrong password throws
 */
export async function acquireOwnership(options: OwnershipOptions): Promise<Ownership> {
  const { key, signal, pollMs = POLL_MS, clock = systemClock, log = silentLog } = options;
  let said = '';
  const say = (message: string): void => {
    if (said !== message) log.info(message, { key });
    said = message;
  };
  let session = null as LockSession | null;
  let taken = false;
  let standby = false;
  const onLost = (error: OwnershipLost): void => {
    if (!taken) return;
    log.error('ownership lost', { key, reason: error.message });
    options.onLost?.(error);
  };
  try {
    for (;;) {
      signal?.throwIfAborted();
      try {
        // What ends while it only waits is no loss to anybody.
        if (!session?.isHeld()) session = await LockSession.open({ ...options, name: key, log: silentLog, onLost });
        taken = await session.tryLock(`sluice owner ${key}`);
        if (taken) {
          say('ownership taken');
          return ownershipOf(key, session);
        }
        if (!standby) options.onStandby?.();
        standby = true;
        say('waiting for ownership: another process holds it');
      } catch (error) {
        if (!(error instanceof PostgresUnavailable) && session?.isHeld() !== false) throw error;
        say(`waiting for ownership: Postgres is not available (${textOf(error)})`);
      }
      await clock.sleep(pollMs, signal);
    }
  } catch (error) {
    await session?.close();
    throw error;
  }
}

function ownershipOf(key: string, session: LockSession): Ownership {
  return {
    key,
    ended: session.ended,
    isHeld: () => session.isHeld(),
    transaction: (work, options) => session.transaction(work, options),
    statement: (prepared, params) => session.statement(prepared, params),
    release: () => session.close(),
  };
}
