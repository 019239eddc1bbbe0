import type { CallKey, CallKind, Granted, Priority } from '#contracts';
import type { AccountBooks } from './books.js';
import { type CallRun, callsOf, runsOf } from './call-runs.js';
import type { ForeignEntry } from './foreign.js';
import { type Grant, newGrant } from './grant.js';

/*
 * What the journal's events hold, one entry for each thing that happened: enough to do it to the books again without
 * deciding anything. Instants are epoch milliseconds on the ledger's clock. docs/protocol.md tells them to whoever reads LEDGER.
 */

export interface GrantedEntry {
  readonly grantId: string;
  readonly requestId: string;
  readonly kind: CallKind;
  readonly priority: Priority;
  readonly calls: number;
  readonly grantedAt: number;
  /** Where it isn't when it was granted. All its other times follow from this one. */
  readonly notBefore?: number;
  /** One for each call, where any touches a ticket or user. */
  readonly keys?: readonly (CallKey | null)[];
  /** Shadow mode: what would have refused. */
  readonly wouldRefuse?: NonNullable<Granted['wouldRefuse']>;
}

export interface SettledEntry {
  readonly grantId: string;
  readonly requestId: string;
  /** Which calls were used, and from when to when each can have arrived. */
  readonly used: readonly (readonly [call: number, from: number, to: number])[];
  /** Which calls were not made. */
  readonly returned: readonly number[];
}

export interface ExpiredEntry {
  readonly grantId: string;
  /** How many of its calls nobody settled. */
  readonly calls: number;
}

/** A call that the CRM refused with a 429; of `(foreign)` where others' calls were the reason. */
export interface RefusedEntry {
  readonly kind: CallKind;
  readonly status: number;
  readonly at: number;
}

/** What a response told of others' calls in a window. */
export interface ToldForeign extends ForeignEntry {
  /** So many more were seen than before. */
  readonly calls: number;
  /** Of those, how many are counted as used by `(foreign)`: each call once, however many limits it counts in. */
  readonly counted: number;
}

/** The entry that tells of a new grant. */
export function grantedEntry(grant: Grant): GrantedEntry {
  const { id: grantId, requestId, kind, priority, grantedAt, notBefore } = grant;
  const entry = { grantId, requestId, kind, priority, calls: grant.calls.length, grantedAt };
  const keyed = grant.calls.some(({ key }) => key !== null);
  if (!keyed && !grant.wouldRefuse && notBefore === grantedAt) return entry;
  return {
    ...entry,
    ...(notBefore === grantedAt ? {} : { notBefore }),
    ...(keyed ? { keys: grant.calls.map(({ key }) => key) } : {}),
    ...(grant.wouldRefuse ? { wouldRefuse: grant.wouldRefuse } : {}),
  };
}

/** The grant that an entry tells of, as it was made: all its calls open. */
export function grantOf(entry: GrantedEntry, integration: string, { timing }: Pick<AccountBooks, 'timing'>): Grant {
  const { grantId: id, grantedAt, notBefore = grantedAt, keys = null, ...rest } = entry;
  return newGrant({ ...rest, id, integration, grantedAt, notBefore, keys }, timing);
}

/** A grant as a snapshot keeps it. */
export type StoredGrant = Omit<Grant, 'calls'> & {
  readonly runs: readonly CallRun[];
  readonly keys: readonly (CallKey | null)[] | null;
  /** Where none of its calls is open: since when, epoch ms. */
  readonly closedAt?: number;
};

export function storedGrant({ calls, ...grant }: Grant): StoredGrant {
  const keys = calls.some(({ key }) => key !== null) ? calls.map(({ key }) => key) : null;
  return { ...grant, settles: [...grant.settles], runs: runsOf(calls), keys };
}

export function readGrant({ runs, keys, ...grant }: StoredGrant): Grant {
  return { ...grant, calls: callsOf(runs, keys) };
}
