/**
 * Postgres can't be reached, ended our connection, or gave none within the time. What was being done did **not** take
 * effect (a lost COMMIT is `CommitUncertain` instead). Try again after `retryInMs`.
 */
export class PostgresUnavailable extends Error {
  readonly code = 'postgres_unavailable';
  readonly retryInMs = 1_000;
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'PostgresUnavailable';
  }
}

/**
 * The connection was lost while COMMIT was under way: the transaction may or may not have taken effect. Whoever keeps
 * state in memory must read it again; whoever repeats must be idempotent.
 */
export class CommitUncertain extends Error {
  readonly code = 'commit_uncertain';
  constructor(options?: ErrorOptions) {
    super('the connection was lost during COMMIT: it may or may not have taken effect', options);
    this.name = 'CommitUncertain';
  }
}

/** The advisory lock is no longer (certainly) ours: stop acting as the owner at once. */
export class OwnershipLost extends Error {
  readonly code = 'ownership_lost';
  constructor(key: string, reason: string, options?: ErrorOptions) {
    super(`ownership of ${key} is lost: ${reason}`, options);
    this.name = 'OwnershipLost';
  }
}

/** Error codes of Postgres (its manual, appendix A) after which the connection is gone or about to be. */
const GONE_SQLSTATES: ReadonlySet<string> = new Set(['57P01', '57P02', '57P03', '57P05', '25P03', '25P04', '53300']);

/** What Node's sockets and `pg` say of a connection that is gone or never came about. */
const GONE_CODES: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ENOENT',
]);
const GONE_MESSAGES =
  /Connection terminated|timeout exceeded when trying to connect|not queryable|Query read timeout|Client was closed/;

/** The parts of an error that tell, whichever realm or library made it. */
interface Told {
  readonly name?: string;
  readonly message?: string;
  readonly code?: unknown;
  /** Of an AggregateError: a host name with several addresses fails once for each. */
  readonly errors?: readonly unknown[];
}

/** True where the error means that the connection, not the statement, is the trouble. */
export function isConnectionLoss(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  const { code, message = '', errors } = error as Told;
  if (typeof code === 'string' && (GONE_CODES.has(code) || GONE_SQLSTATES.has(code) || code.startsWith('08')))
    return true;
  return (Array.isArray(errors) && errors.some(isConnectionLoss)) || GONE_MESSAGES.test(message);
}

/** The error as callers are promised it: connection trouble as `PostgresUnavailable`, anything else unchanged. */
export function asUnavailable(error: unknown): unknown {
  if (!isConnectionLoss(error)) return error;
  return new PostgresUnavailable(`Postgres is not available: ${textOf(error)}`, { cause: error });
}

/** An error's own words. */
export function textOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return String(error);
  const { name = 'unknown error', message = '', errors } = error as Told;
  if (message !== '') return message;
  return Array.isArray(errors) ? errors.map(textOf).join('; ') : name;
}
