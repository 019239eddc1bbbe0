import type { CallKey, CallKind, Priority, Refused, Rejected, Unavailable } from '#contracts';
import type { HeldGrant } from './held-grant.js';

/* What a client of the quota protocol is asked, and says. Instants are ms of its monotonic clock. */

/** The ledger can't be reached, or can't decide at the moment: no grant, no call. Ask again then, with the same requestId. */
export interface Silent {
  readonly answer: 'silent';
  readonly retryInMs: number;
}
/** The caller's signal ended the wait; what was granted meanwhile is returned. */
export interface Withdrawn {
  readonly answer: 'withdrawn';
}
export type Acquired =
  { readonly answer: 'granted'; readonly grant: HeldGrant } | Refused | Rejected | Silent | Withdrawn;

/** An answer of the protocol; where there is none, after all tries, `silent`. */
export type Heard<A extends { readonly answer: string }> = Exclude<A, Unavailable> | Silent;

export interface Wanted {
  /** Names the request: the same one gets the same grant again. Left out = a new one. */
  readonly requestId?: string;
  readonly kind: CallKind;
  /** One entry per call of `calls.max`, where calls touch a ticket or a user. */
  readonly keys?: readonly CallKey[];
  /** Default: one. */
  readonly calls?: { readonly min: number; readonly max: number };
  /** Default `normal`. */
  readonly priority?: Priority;
  /** How long it may wait in the ledger for its turn, ms. Default 0: answered at once. */
  readonly waitMs?: number;
  /** Ends the wait: the ledger is told, and what it has granted meanwhile is returned. */
  readonly signal?: AbortSignal;
}

/** A call that was made, or may have been. Instants of the monotonic clock. */
export interface CallMade {
  /** Which of the grant's calls, from 0; left out = the next one open. */
  readonly call?: number;
  /** Not later than its first byte left. */
  readonly sentAtMonoMs: number;
  /** Not earlier than its answer arrived; null = none did. */
  readonly answeredAtMonoMs: number | null;
}

/** What became of a grant's calls. */
export interface Settlement {
  readonly used?: readonly CallMade[];
  /** How many calls were not and will not be made. */
  readonly returned?: number;
  /** Names this settle: the same one takes effect once. Left out = a new one. */
  readonly requestId?: string;
}

/** What the CRM said in answer to a call. */
export interface SeenAnswer {
  readonly grantId: string | null;
  readonly kind: CallKind;
  readonly status: number;
  /** As they came; only those that tell of limits are passed on. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** The beginning of a refusal's body. */
  readonly refusal?: string | null;
  readonly answeredAtMonoMs: number;
}
