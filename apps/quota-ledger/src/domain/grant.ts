import type { CallKey, CallKind, Granted, IntegrationName, Priority, Settled } from '#contracts';

/*
 * A grant and its calls. Each call is for itself
 *
 *     open ──settle──▶ used        it was made: charged to the windows in which its answer places it
 *       │ ╲───settle──▶ returned    it was not and will not be made: charged to nothing
 *       └───expire────▶ expired     nobody told in time: charged for ever to every window in which it could have arrived
 *
 * and never leaves its last state, so that granted = used + returned + expired + open at every moment.
 */

export const CALL_STATES = ['open', 'used', 'returned', 'expired'] as const;
export type CallState = (typeof CALL_STATES)[number];

/** A span of time, both ends included, epoch ms. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

export interface Call {
  state: CallState;
  /** Where it arrived or could have arrived at the CRM. */
  span: Span;
  readonly key: CallKey | null;
}

export interface Grant {
  readonly id: string;
  readonly integration: IntegrationName;
  readonly requestId: string;
  readonly kind: CallKind;
  readonly priority: Priority;
  /** All instants epoch ms on the ledger's clock. */
  readonly grantedAt: number;
  /** No call leaves before. */
  readonly notBefore: number;
  /** No call leaves after. */
  readonly validUntil: number;
  /** No call arrives after: `validUntil` and the account's request time-out. */
  readonly arrivesBy: number;
  /** What is still open then expires. */
  readonly settleBy: number;
  /** Start of the minute in which its calls are counted until their answer places them. */
  readonly minute: number;
  readonly calls: readonly Call[];
  /** Granted in shadow mode only: what would have refused. */
  readonly wouldRefuse?: Granted['wouldRefuse'];
  /** Settles already taken, by their request id, with what was answered. */
  readonly settles: { readonly requestId: string; readonly answer: Settled }[];
}

/** What a new grant is made of; all else follows from how long things take on the account. */
export interface NewGrant extends Pick<
  Grant,
  'id' | 'integration' | 'requestId' | 'kind' | 'priority' | 'grantedAt' | 'notBefore' | 'wouldRefuse'
> {
  readonly calls: number;
  /** One for each call, or null where none touches a ticket or user. */
  readonly keys: readonly (CallKey | null)[] | null;
}

type GrantTiming = Readonly<Record<'validForMs' | 'requestTimeoutMs' | 'settleGraceMs' | 'minuteMs', number>>;

/** A grant, all of whose calls are open. Spelled field by field, as objects put together from others are dear to use. */
export function newGrant(made: NewGrant, timing: GrantTiming): Grant {
  const { id, integration, requestId, kind, priority, grantedAt, notBefore, keys, wouldRefuse } = made;
  const validUntil = notBefore + timing.validForMs;
  const arrivesBy = validUntil + timing.requestTimeoutMs;
  const settleBy = arrivesBy + timing.settleGraceMs;
  const minute = Math.floor(grantedAt / timing.minuteMs) * timing.minuteMs;
  const span: Span = { from: notBefore, to: arrivesBy };
  const calls: Call[] = [];
  for (let index = 0; index < made.calls; index++) calls.push({ state: 'open', span, key: keys?.[index] ?? null });
  const grant: Grant = {
    id,
    integration,
    requestId,
    kind,
    priority,
    grantedAt,
    notBefore,
    validUntil,
    arrivesBy,
    settleBy,
    minute,
    calls,
    settles: [],
  };
  return wouldRefuse ? { ...grant, wouldRefuse } : grant;
}

export type CallCounts = Readonly<Record<CallState, number>>;

/** How many of a grant's calls are in each state. */
export function countsOf(grant: Grant): CallCounts {
  const counts = { open: 0, used: 0, returned: 0, expired: 0 };
  for (const call of grant.calls) counts[call.state] += 1;
  return counts;
}

/** What a settle is answered: the grant as it then stands. */
export function settledAnswer(grant: Grant, late: boolean): Settled {
  const { used, returned, expired, open } = countsOf(grant);
  return { answer: 'settled', grantId: grant.id, late, used, returned, expired, open };
}

/** The id of the place that a grant's call takes: known to both sides without being stored twice. */
export function holdIdOf(grantId: string, callIndex: number): string {
  return `${grantId}.${callIndex}`;
}
