import type { CallKind } from '#contracts';

/** A rule that counts calls in windows of time. */
export interface Limit {
  readonly name: string;
  /** `fixed`: windows stand side by side from an anchor. `rolling`: any span of this length. */
  readonly kind: 'fixed' | 'rolling';
  readonly lengthMs: number;
  /** Where fixed windows begin: `UTC`, or an IANA time zone (its midnights, so days of 23 and 25 hours). */
  readonly anchor: string;
  readonly max: number;
  /** What is counted apart: the whole account, or each ticket or user that a call names. */
  readonly scope: 'account' | 'endpoint' | 'user' | 'ticket';
  /** Which kinds of call draw on it. */
  readonly draws: readonly CallKind[] | 'every';
  /** How far the CRM's window edge may lie from ours, ms: a call that near an edge is charged to both sides. */
  readonly edgeMs: number;
  /** Response headers that tell this limit's standing, lower case, first match wins. */
  readonly headers: {
    readonly limit: readonly string[];
    readonly remaining: readonly string[];
    readonly resetSeconds: readonly string[];
    /** `zendesk-ratelimit-<name>: total=…; remaining=…; resets=…`, where the CRM tells it in one header. */
    readonly combined: readonly string[];
  };
}

/** A rule that counts places taken until they are given back (bulk jobs in flight). */
export interface HoldLimit {
  readonly name: string;
  readonly max: number;
  readonly draws: readonly CallKind[];
}

export interface LimitSet {
  readonly limits: readonly Limit[];
  readonly holds: readonly HoldLimit[];
}

/** Does a call of this kind count against the limit? */
export function draws(limit: Pick<Limit, 'draws'>, kind: CallKind): boolean {
  return limit.draws === 'every' || limit.draws.includes(kind);
}
