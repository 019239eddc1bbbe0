import type { IntegrationName, Priority } from './words.js';

/**
 * The quota protocol, as it travels over NATS request/reply (JSON). Account and integration are in the subject, which
 * the server's permissions enforce, never in the body. All times are durations in milliseconds: the client counts
 * *valid until* from when it sent its request, *not before* from when it got the answer, on its monotonic clock.
 */

/** What a call is, so that the ledger knows which limits it draws on. An unlisted call is `other`. */
export const CALL_KINDS = [
  'tickets.create',
  'tickets.create_many',
  'tickets.update',
  'tickets.update_many',
  'tickets.delete',
  'tickets.list',
  'tickets.list_deep',
  'tickets.audits',
  'tickets.export',
  'jobs.show',
  'jobs.list',
  'users.search',
  'users.create',
  'users.create_or_update',
  'users.update',
  'organizations.update',
  'search.export',
  'other',
] as const;
export type CallKind = (typeof CALL_KINDS)[number];

/** Which ticket, user or organization one call touches, for limits scoped to them. */
export interface CallKey {
  readonly ticket?: string;
  readonly user?: string;
  readonly organization?: string;
}

export interface AcquireRequest {
  /** Made by the client before the first send and reused on every retry: the same id gets the same grant again. */
  readonly requestId: string;
  readonly kind: CallKind;
  /** One entry per call where a call touches a ticket or user; may be left out. */
  readonly keys?: readonly CallKey[];
  readonly calls: { readonly min: number; readonly max: number };
  readonly priority: Priority;
  /**
   * How long the request may wait in the ledger for its turn; 0 = answer at once. What waits is served by priority, then
   * weighted fair among integrations, then in order of arrival; `cancel` ends the wait.
   */
  readonly waitMs: number;
}

export interface LimitStanding {
  readonly limit: string;
  readonly max: number;
  readonly remaining: number;
  /** Until the current window ends; null for holds. */
  readonly resetsInMs: number | null;
  /** Long windows only: calls of the asker this far apart use evenly what it may still have until the window ends. */
  readonly paceMs?: number;
}

export interface Granted {
  readonly answer: 'granted';
  readonly grantId: string;
  readonly calls: number;
  /** Not before: counted from when the answer arrived. */
  readonly sendInMs: number;
  /** Not after: counted from when the request was sent. */
  readonly validForMs: number;
  /** After this (from when the request was sent) unsettled calls count as used, for ever. */
  readonly settleWithinMs: number;
  /** One id per call that occupies a place until released (bulk jobs). */
  readonly holdIds: readonly string[];
  readonly remaining: readonly LimitStanding[];
  /** Accounts in shadow mode only: what would have refused. Nothing is refused there. */
  readonly wouldRefuse?: { readonly limit: string; readonly reason: RefusalReason };
}

/** Why calls are not granted now. */
export const REFUSAL_REASONS = [
  /** The limit's window is full. */
  'limit_reached',
  /** The CRM said that the limit is closed. */
  'closed_by_crm',
  /** All places are taken. */
  'places_taken',
  /** The integration has had its cap of the window. */
  'cap_reached',
  /** What is left is guaranteed to other integrations, for as long as their guarantees are worth it. */
  'guaranteed_to_others',
  /** What is left is reserved for `live`. */
  'reserved_for_live',
  /** Backlog is spread over the window: its next call's time has not come. */
  'backlog_is_spread',
  /** Others, who asked before or whose turn it is, wait for the same limit. */
  'others_wait',
  /** The account or the integration is paused by an operator. */
  'paused',
] as const;
export type RefusalReason = (typeof REFUSAL_REASONS)[number];

export interface Refused {
  readonly answer: 'refused';
  /** The limit or kind of places that refused; for a share's refusal the limit that it is a share of. */
  readonly limit: string;
  readonly reason: RefusalReason;
  readonly retryInMs: number;
  readonly eta: { readonly fromMs: number; readonly toMs: number };
}

/** What can never be granted, or isn't understood: asking again the same way is pointless. */
export interface Rejected {
  readonly answer: 'rejected';
  readonly code: string;
  readonly message: string;
}

/** Nothing is decided, or it can't be told what was: ask again after `retryInMs`, **with the same requestId**. */
export interface Unavailable {
  readonly answer: 'unavailable';
  readonly code: string;
  readonly message: string;
  readonly retryInMs: number;
}

export type AcquireAnswer = Granted | Refused | Rejected | Unavailable;

/** One call that was made under a grant. Durations back from the moment the settle is sent. */
export interface UsedCall {
  /** Which of the grant's calls, from 0; left out = the next one not yet settled. Needed where calls have different keys. */
  readonly call?: number;
  /** How long ago its first byte may have left. */
  readonly sentAgoMs: number;
  /** How long ago its answer arrived; null = never did, so it counts wherever it could have arrived. */
  readonly answeredAgoMs: number | null;
}

export interface SettleRequest {
  readonly requestId: string;
  readonly grantId: string;
  readonly used: readonly UsedCall[];
  /** Calls that were not and will not be made. */
  readonly returned: number;
}

export interface Settled {
  readonly answer: 'settled';
  readonly grantId: string;
  /** True where (part of) it came after the grant had expired: the expired calls stay counted. */
  readonly late: boolean;
  readonly used: number;
  readonly returned: number;
  readonly expired: number;
  readonly open: number;
}

export type SettleAnswer = Settled | Rejected | Unavailable;

/** Ends the wait of an `acquire`, named by the requestId that it has. */
export interface CancelRequest {
  readonly requestId: string;
}
export interface Cancelled {
  readonly answer: 'cancelled';
  /** `waiting`: it waited and is now answered `refused`; `granted`: too late, settle its calls; `unknown`: no such request. */
  readonly was: 'waiting' | 'granted' | 'unknown';
  /** Where it was granted. */
  readonly grantId: string | null;
}
export type CancelAnswer = Cancelled | Rejected | Unavailable;

/** Takes places without calls: for jobs that were found running, or that somebody else began. */
export interface HoldRequest {
  readonly requestId: string;
  /** The kind of places, such as `inflight-jobs`. */
  readonly limit: string;
  readonly places: number;
}
export interface Held {
  readonly answer: 'held';
  readonly holdIds: readonly string[];
}
export type HoldAnswer = Held | Refused | Rejected | Unavailable;

export interface ReleaseRequest {
  readonly requestId: string;
  readonly holdIds: readonly string[];
}
export interface Released {
  readonly answer: 'released';
  readonly released: number;
}
export type ReleaseAnswer = Released | Rejected | Unavailable;

/** What the CRM itself said in answer to a call. Header names in lower case. */
export interface ObserveRequest {
  readonly grantId: string | null;
  readonly kind: CallKind;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** First bytes of a refusal's body, where it tells which limit refused. */
  readonly refusal?: string;
  readonly answeredAgoMs: number;
}
export interface Observed {
  readonly answer: 'observed';
  /** Limits that are now closed, and for how long. */
  readonly closed: readonly { readonly limit: string; readonly forMs: number }[];
}
export type ObserveAnswer = Observed | Rejected | Unavailable;

/** When calls would be had, as things stand. Nothing is reserved by asking. */
export interface ForecastRequest {
  readonly integration: IntegrationName;
  readonly kind: CallKind;
  readonly calls: number;
  readonly priority: Priority;
}
export interface Forecast {
  readonly answer: 'forecast';
  /** All of the calls will be had between these. */
  readonly eta: { readonly fromMs: number; readonly toMs: number };
  /** What the calls wait for longest; null = nothing. */
  readonly limit: string | null;
  readonly limits: readonly LimitForecast[];
  /** Who waits in the ledger now. */
  readonly waiting: readonly WaitingRequests[];
}
/** What one integration has waiting with one priority. */
export interface WaitingRequests {
  readonly integration: IntegrationName;
  readonly priority: Priority;
  readonly requests: number;
  /** The fewest calls that they ask for. */
  readonly calls: number;
}
/** Calls of those who don't ask the ledger, in a limit's current window: at least and at most. */
export interface ForeignCalls {
  readonly atLeast: number;
  readonly atMost: number;
}
export interface LimitForecast extends LimitStanding {
  readonly foreign: ForeignCalls;
  /** Kept free for them in each window. */
  readonly headroom: number;
}
export type ForecastAnswer = Forecast | Rejected | Unavailable;

export interface UsageRequest {
  /** Buckets of a minute, an hour or a day (an account with a time scale has scaled ones). */
  readonly per: 'minute' | 'hour' | 'day';
  readonly integration?: IntegrationName;
  /** ISO instants; default: the current day. */
  readonly from?: string;
  readonly to?: string;
}
export interface UsageRow {
  readonly integration: IntegrationName;
  /** ISO instant at which the bucket begins. */
  readonly startsAt: string;
  readonly granted: number;
  readonly used: number;
  readonly returned: number;
  readonly expired: number;
  readonly open: number;
  /** Calls that the CRM refused with a 429; `(foreign)` has those that others' calls caused. */
  readonly crmRefused: number;
  /** Calls granted in shadow mode that would have been refused. */
  readonly wouldRefuse: number;
}
/** A place of a bulk job, as long as nobody released it. */
export interface PlaceTaken {
  readonly holdId: string;
  readonly grantId: string;
  readonly integration: IntegrationName;
  readonly takenAgoMs: number;
}
/** What an integration may have of one limit of the whole account, and has of its current window. */
export interface LimitShare {
  readonly limit: string;
  /** Calls that are its own whenever it asks in time. */
  readonly guarantee: number;
  /** Most calls that it may have; null = no cap. */
  readonly cap: number | null;
  /** Calls charged to the current window (a rolling one: to the length that ends now): used, open or expired. */
  readonly used: number;
  /** What is kept of the guarantee for it now: less as the window runs out. */
  readonly worth: number;
}
export interface ShareStanding {
  readonly integration: IntegrationName;
  readonly weight: number;
  readonly limits: readonly LimitShare[];
  /** Requests of its that wait in the ledger now. */
  readonly requestsWaiting: number;
}
/** How much of a limit those have who don't ask the ledger. */
export interface ForeignStanding extends ForeignCalls {
  readonly limit: string;
  /** Kept free for them in the current window, beyond `atMost`. */
  readonly headroom: number;
}
export interface UsageAnswer {
  readonly answer: 'usage';
  readonly per: UsageRequest['per'];
  /** `shadow`: nothing is refused; what would have been is counted as `wouldRefuse`. */
  readonly mode: 'enforce' | 'shadow';
  readonly rows: readonly UsageRow[];
  readonly limits: readonly LimitStanding[];
  readonly holds: readonly {
    readonly limit: string;
    readonly max: number;
    readonly taken: number;
    /** The places taken longest, oldest first. */
    readonly places: readonly PlaceTaken[];
  }[];
  readonly shares: readonly ShareStanding[];
  readonly foreign: readonly ForeignStanding[];
  readonly waiting: readonly WaitingRequests[];
}
