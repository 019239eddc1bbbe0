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
  /** What is counted apart: the whole account, some of its calls, or each ticket, user or organization that a call names. */
  readonly scope: 'account' | 'endpoint' | 'user' | 'ticket' | 'organization';
  /** Which kinds of call draw on it. */
  readonly draws: readonly CallKind[] | 'every';
  /** How far the CRM's window edge may lie from ours, ms: a call that near an edge is charged to both sides. */
  readonly edgeMs: number;
  readonly headers: HeaderNames;
}

/** Response headers that tell a limit's standing, in lower case; of several the first that is there counts. */
export interface HeaderNames {
  readonly limit: readonly string[];
  readonly remaining: readonly string[];
  /** Until the window ends, in seconds from the answer on. */
  readonly resetSeconds: readonly string[];
  /** When the window ends, in seconds (or milliseconds: told apart by size) since 1970. */
  readonly resetEpoch: readonly string[];
  /** `zendesk-ratelimit-<name>: total=…; remaining=…; resets=…`, where the CRM tells it in one header. */
  readonly combined: readonly string[];
  /** Where one header holds `<key>=<used>/<limit>`, as Salesforce's `api-usage=18/5000`. */
  readonly usedOfLimit: readonly { readonly header: string; readonly key: string }[];
}

/** Of a limit whose standing no response tells. */
export const NO_HEADERS: HeaderNames = {
  limit: [],
  remaining: [],
  resetSeconds: [],
  resetEpoch: [],
  combined: [],
  usedOfLimit: [],
};

/** A CRM's counter may lag about a second at the edge, and `Date` (our measure of the clocks' offset) has one-second steps. */
export const EDGE_MS = 1_500;

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

/** The scopes of which each ticket, user or organization has a count of its own, found by the call's keys. */
export type KeyScope = Exclude<Limit['scope'], 'account' | 'endpoint'>;

/** True where each ticket, user or organization is counted apart, false where all calls are counted together. */
export function isCountedByKey(scope: Limit['scope']): scope is KeyScope {
  return scope !== 'account' && scope !== 'endpoint';
}

/** Does a call of this kind count against the limit? */
export function draws(limit: Pick<Limit, 'draws'>, kind: CallKind): boolean {
  return limit.draws === 'every' || limit.draws.includes(kind);
}
