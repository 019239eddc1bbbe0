import type { AccountName, CallKind, Command, InteractionId, Priority } from '#contracts';
import type { ContactStep, RememberedContact } from './domain/contact.js';
import type { ItemEffect } from './domain/effect.js';
import type { PlannedItem, Writer } from './domain/plan-calls.js';
import type { UnknownItem } from './domain/resolve-unknown.js';
import type { WaitingInteraction } from './domain/write.js';

/** One HTTP request as it is stored before it is sent and, where needed, sent again byte for byte. */
export interface StoredRequest {
  readonly method: 'GET' | 'POST' | 'PUT';
  /** From the CRM's root, with its query. */
  readonly path: string;
  readonly body: Uint8Array | null;
  readonly idempotencyKey: string | null;
}

/** Interactions for which something may be done, bounded: "more than 1,000" is as good as a number. */
export interface WaitingCounts {
  readonly creates: number;
  readonly createsLive: number;
  readonly updates: number;
  readonly updatesLive: number;
}

export interface NextUp {
  readonly interactions: readonly WaitingInteraction[];
  /** What is remembered under every key of their contacts; absent = nothing. */
  readonly contacts: ReadonlyMap<string, RememberedContact>;
}

/** What is claimed, in one transaction with the request's bytes and the grant, before anything is sent. */
export interface Claim {
  readonly account: AccountName;
  readonly callId: string;
  readonly kind: CallKind;
  readonly writer: Writer;
  readonly priority: Priority;
  readonly grantId: string;
  readonly holdIds: readonly string[];
  /** The request for a place that this claim makes its own; null where the call takes none. */
  readonly requestId: string | null;
  readonly request: StoredRequest;
  readonly items: readonly PlannedItem[];
  /** After this time the call can no longer be under way. */
  readonly underWayForMs: number;
}

/** A request to the ledger for a call that takes a place until its job is over. */
export interface AskedPlace {
  readonly requestId: string;
  readonly kind: CallKind;
  readonly priority: Priority;
}

/** The same for a call that makes a contact. */
export interface ContactClaim extends Omit<Claim, 'writer' | 'items' | 'holdIds' | 'requestId'> {
  readonly keys: readonly string[];
  readonly step: ContactStep;
}

/** A call whose bytes go again, under a new grant. */
export interface ClaimAgain {
  readonly callId: string;
  /** How often it was sent before: guards against doing it twice. */
  readonly sends: number;
  readonly grantId: string;
  readonly underWayForMs: number;
}

export interface ItemEffectAt {
  readonly index: number;
  readonly interactionId: InteractionId;
  readonly effect: ItemEffect;
}

/** An answer (or that there was none) with everything that follows from it; stored in one transaction. */
export interface CallRecord {
  readonly account: AccountName;
  readonly callId: string;
  /** Only the attempt that was sent may be recorded: an old sender waking late changes nothing. */
  readonly sends: number;
  /** Null where nothing was answered. */
  readonly answer: { readonly status: number; readonly body: Uint8Array } | null;
  readonly next:
    /**
     * Every item has its effect; the call is closed unless one of them is unknown. `mayRunOn` = nothing was learned of its
     * job: one that may run goes on being looked at, and keeps its place.
     */
    | { readonly to: 'settled'; readonly mayRunOn?: boolean }
    /** A bulk job was accepted; its items stay `sent`. */
    | { readonly to: 'job'; readonly jobId: string; readonly total: number; readonly pollInMs: number }
    /** The job may still run, but its items wait for it no more and are asked for: it is looked at on until it is over. */
    | { readonly to: 'stuck'; readonly jobId: string; readonly pollInMs: number }
    /** Bulk without a job id: the CRM's list of jobs is asked before the items are. */
    | { readonly to: 'jobsUnknown'; readonly askInMs: number }
    /** Looked up and absent: the same bytes may go again. */
    | { readonly to: 'again'; readonly inMs: number };
  readonly effects: readonly ItemEffectAt[];
}

export interface ContactRecord {
  readonly account: AccountName;
  /** Null for a look-up, which isn't stored before it is sent. */
  readonly call: { readonly callId: string; readonly sends: number; readonly answer: CallRecord['answer'] } | null;
  readonly keys: readonly string[];
  /** What was done for it. */
  readonly step: ContactStep;
  /** How long it stays refused, if it is. */
  readonly expiresInMs: number;
  readonly becomes:
    | { readonly is: 'known'; readonly userId: number }
    | { readonly is: 'step'; readonly step: ContactStep; readonly inMs: number; readonly attempts: number }
    | { readonly is: 'refused'; readonly code: string; readonly text: string }
    /** The same step again, not before the call can no longer be under way. */
    | { readonly is: 'unknown'; readonly askInMs: number; readonly attempts: number };
}

/** When something is due next, ms from now; 0 or less = now, null = nothing of that sort. */
export interface NextDue {
  /** When a call stored as sent can no longer be under way. */
  readonly sentInMs: number | null;
  readonly jobInMs: number | null;
  readonly jobListInMs: number | null;
  readonly itemInMs: number | null;
  readonly againInMs: number | null;
  readonly contactCallInMs: number | null;
  readonly waitingInMs: number | null;
  readonly lapseInMs: number | null;
  readonly holds: boolean;
}

export interface RunningJob {
  readonly jobId: string;
  readonly callId: string;
  readonly sends: number;
  readonly kind: CallKind;
  readonly grantId: string;
  readonly priority: Priority;
  readonly total: number;
  readonly polls: number;
  /** Looks in a row in which the CRM told of other jobs, but not of this one. */
  readonly misses: number;
  /** Since it was submitted. */
  readonly ageMs: number;
  readonly due: boolean;
}

/** A job that was looked at and isn't over: when to look next. */
export interface PolledJob {
  readonly jobId: string;
  readonly inMs: number;
  readonly missed: boolean;
}

/** An item of a call as stored, for judging a job's results. */
export interface StoredItem {
  readonly index: number;
  readonly interactionId: InteractionId;
  readonly commands: number;
  readonly attempts: number;
  readonly ticketId: number | null;
  readonly externalId: string;
}

export interface ItemToAsk extends UnknownItem {
  readonly callId: string;
  readonly sends: number;
  readonly index: number;
  readonly attempts: number;
  readonly single: boolean;
  /** Was the failure its own, and not the CRM's or this process's? */
  readonly own: boolean;
  readonly priority: Priority;
  readonly firstSentAgoMs: number;
  /** How many items its call has. */
  readonly items: number;
  /** Since when nothing can change any more, by a job or by a request under way. */
  readonly quietForMs: number;
  /** Its job may yet take effect: that it isn't there proves nothing. */
  readonly mayStillRun: boolean;
}

export interface UnlistedBulk {
  readonly callId: string;
  readonly sends: number;
  readonly priority: Priority;
  readonly asks: number;
  /** Jobs that ran when the list was first read, and could be this call's; null = it wasn't read yet. */
  readonly suspects: readonly string[] | null;
}

/** What the CRM's list of jobs told of bulk calls without an answer. */
export interface ListedJobs {
  readonly settled: boolean;
  /** Running jobs that could be theirs, for those whose list was read for the first time; null where none could be read. */
  readonly suspects: readonly string[] | null;
  readonly inMs: number;
  /** From now on the items are asked for, though a job may still run. */
  readonly mayRunOn?: boolean;
  /** How soon the items are asked for, where they are. */
  readonly itemsInMs?: number;
}

export interface CallToSendAgain {
  readonly callId: string;
  readonly sends: number;
  readonly kind: CallKind;
  readonly priority: Priority;
  readonly request: StoredRequest;
  readonly item: StoredItem;
}

export interface AccountCounts {
  readonly states: Readonly<Record<string, number>>;
  readonly oldestWaitingAt: number | null;
  readonly callsByKind: Readonly<Record<string, number>>;
  readonly writeCalls: number;
  readonly jobsRunning: number;
  readonly outbox: number;
}

export interface InteractionView {
  readonly interactionId: InteractionId;
  readonly ticketId: number | null;
  readonly followUpOf: number | null;
  readonly commands: readonly {
    readonly commandId: string;
    readonly kind: string;
    readonly state: string;
    readonly priority: Priority;
    readonly reasonCode: string | null;
    readonly ticketId: number | null;
  }[];
}

/**
 * Everything the writer remembers, behind one seam. Every method is one transaction. Instants are the store's own clock's
 * (durations go in and come out), so that replicas with different clocks agree. Where the store isn't there, methods
 * reject with `PostgresUnavailable` or `CommitUncertain`; every one may be repeated.
 */
export interface WriteStore {
  /** New commands as waiting writes; those known already are left as they are. How many were new. */
  takeIn(commands: readonly Command[]): Promise<number>;
  /** Calls that nobody waits for any more (their sender died, or lost its memory of them) are unknown. How many. */
  abandonSent(account: AccountName, except: readonly string[]): Promise<number>;
  countWaiting(account: AccountName): Promise<WaitingCounts>;
  /** The interactions that go next, by priority, then age, each with its first commands; without those in `exclude`. */
  next(account: AccountName, query: NextQuery): Promise<NextUp>;
  /** Notes a request for a place before it is made, anew where it was made before; false = it is being given back. */
  askForPlace(account: AccountName, place: AskedPlace): Promise<boolean>;
  /** Requests noted longer ago than that and never claimed; no claim of them succeeds any more. */
  takePlacesLeft(account: AccountName, olderThanMs: number, limit: number): Promise<AskedPlace[]>;
  /** Nothing is left at the ledger of this request. */
  forgetPlace(requestId: string): Promise<void>;
  /** False = something changed meanwhile; nothing was claimed, and nothing may be sent. */
  claim(claim: Claim): Promise<boolean>;
  claimAgain(claim: ClaimAgain): Promise<boolean>;
  claimContact(claim: ContactClaim): Promise<boolean>;
  /** False = this attempt was recorded already. */
  record(record: CallRecord): Promise<boolean>;
  recordContact(record: ContactRecord): Promise<void>;
  /** A question about an item didn't decide it. */
  askedItem(callId: string, index: number, next: AskedNext): Promise<void>;
  askedJobs(callIds: readonly string[], listed: ListedJobs): Promise<void>;
  polled(account: AccountName, jobs: readonly PolledJob[]): Promise<void>;
  nextDue(account: AccountName): Promise<NextDue>;
  /** All running jobs (one question covers them), at most `limit`. */
  runningJobs(account: AccountName, limit: number): Promise<RunningJob[]>;
  itemsOf(callId: string): Promise<StoredItem[]>;
  itemsToAsk(account: AccountName, limit: number, exclude: readonly InteractionId[]): Promise<ItemToAsk[]>;
  bulksToList(account: AccountName, limit: number): Promise<UnlistedBulk[]>;
  callsToSendAgain(account: AccountName, limit: number, exclude: readonly string[]): Promise<CallToSendAgain[]>;
  /** Contact calls that can no longer be under way: their step may be done again. How many. */
  freeContacts(account: AccountName): Promise<number>;
  holdsToRelease(
    account: AccountName,
    limit: number,
  ): Promise<{ readonly callId: string; readonly holdIds: string[] }[]>;
  holdsReleased(callIds: readonly string[]): Promise<void>;
  /** Writes whose `notAfter` has passed. How many lapsed. */
  lapse(account: AccountName): Promise<number>;
  /** The ticket command of an interaction whose contact the CRM refuses. */
  parkForContact(account: AccountName, interactionId: InteractionId, code: string): Promise<void>;
  countRead(account: AccountName, kind: CallKind): Promise<void>;
  counts(account: AccountName): Promise<AccountCounts>;
  view(account: AccountName, interactionId: InteractionId): Promise<InteractionView | null>;
}

export interface AskedNext {
  readonly cursor: string | null;
  readonly inMs: number;
  /** False where the CRM didn't answer: that says nothing about the item. */
  readonly counted: boolean;
}

export interface NextQuery {
  readonly sort: 'create' | 'update';
  readonly limit: number;
  readonly exclude: readonly InteractionId[];
}
