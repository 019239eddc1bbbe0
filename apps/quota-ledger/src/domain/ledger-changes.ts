import type { AccountName, IntegrationName, LedgerEventName } from '#contracts';
import type { Call, CallState, Grant } from './grant.js';
import type { Hold } from './books.js';
import type { ForeignEntry } from './foreign.js';
import type { LicenceEntry } from './licence.js';

/** Calls of one integration in one minute or day, as they change. Every field may be negative. */
export interface UsageChange {
  readonly account: AccountName;
  readonly integration: IntegrationName;
  readonly startsAt: number;
  granted: number;
  used: number;
  returned: number;
  expired: number;
  open: number;
  /** Calls that the CRM refused; not part of the sum that the others make. */
  crmRefused: number;
}

export interface GrantOf {
  readonly account: AccountName;
  readonly grant: Grant;
}

export interface HoldTaken extends Hold {
  readonly account: AccountName;
  readonly limit: string;
}

/** The CRM's word that a limit (or one ticket or user of it) is closed. */
export interface Closing {
  readonly account: AccountName;
  readonly limit: string;
  /** Empty for the whole limit. */
  readonly key: string;
  readonly until: number;
  /** The one integration that it is closed for; left out = for all. */
  readonly onlyFor?: IntegrationName;
}

/** Calls seen at the CRM in a window that nobody asked the ledger for. */
export interface ForeignCalls {
  readonly account: AccountName;
  readonly limit: string;
  /** When they were seen, epoch ms: they count in that window. */
  readonly at: number;
  readonly calls: number;
}

/** What happened to one integration within one commit. */
export interface LedgerEvent {
  readonly account: AccountName;
  readonly integration: IntegrationName;
  readonly event: LedgerEventName;
  readonly entries: object[];
}

/** As which foreign calls are counted. No integration can be called so. */
export const FOREIGN = '(foreign)';
/** As which what concerns a whole account is told: its configuration. No integration can be called so. */
export const WHOLE_ACCOUNT = '(account)';

/** What one entry tells; what it says of instants is the only part without a bound of its own. */
type EventEntry = Readonly<Record<string, unknown>> & { readonly usedAt?: readonly number[] };

/** Half of what a NATS message may have by default; the sizes of entries are bounds, as measuring them would cost each turn. */
const MAX_EVENT_BYTES = 524_288;
/** An entry's fields, with a request id of 128 characters that all have to be escaped. */
const ENTRY_BYTES = 1_536;
const INSTANT_BYTES = 20;

/** Everything that one turn of decisions changes, to be recorded in one transaction. */
export class LedgerChanges {
  readonly grantsMade = new Map<string, GrantOf>();
  readonly grantsChanged = new Map<string, GrantOf>();
  readonly minutes = new Map<string, UsageChange>();
  readonly days = new Map<string, UsageChange>();
  readonly holdsTaken: HoldTaken[] = [];
  readonly holdsReleased: { readonly account: AccountName; readonly holdId: string }[] = [];
  readonly closings: Closing[] = [];
  /** Those for one integration only, apart: nobody else may ever be held to them. */
  readonly closingsForOne: Closing[] = [];
  readonly foreign: ForeignCalls[] = [];
  /** In the order in which they were decided. */
  readonly foreignEntries: ForeignEntry[] = [];
  readonly licences: LicenceEntry[] = [];
  /** Grants that these decisions closed, by account and request: the books have let go of them, the tables don't know yet. */
  private readonly closedByRequest = new Map<string, Grant>();
  readonly events: LedgerEvent[] = [];
  private readonly newestEvents = new Map<string, { readonly entries: object[]; bytes: number }>();

  isEmpty(): boolean {
    return (
      this.grantsMade.size === 0 &&
      this.grantsChanged.size === 0 &&
      this.events.length === 0 &&
      this.foreignEntries.length === 0 &&
      this.holdsReleased.length === 0
    );
  }

  /** A new grant, counted as open in its minute and day. */
  grantMade(account: AccountName, grant: Grant): void {
    this.grantsMade.set(grant.id, { account, grant });
    for (const usage of this.usageOf(account, grant.integration, grant.minute, grant.day)) {
      usage.granted += grant.calls.length;
      usage.open += grant.calls.length;
    }
  }

  /** A grant's calls changed; told once all of them are as they are to stay. */
  grantChanged(account: AccountName, grant: Grant): void {
    if (!grant.calls.some(({ state }) => state === 'open'))
      this.closedByRequest.set(`${account} ${grant.integration} ${grant.requestId}`, grant);
    if (!this.grantsMade.has(grant.id)) this.grantsChanged.set(grant.id, { account, grant });
  }

  /** A grant made or changed by decisions of this turn, by its id. */
  grantOf(account: AccountName, id: string): Grant | null {
    const found = this.grantsChanged.get(id) ?? this.grantsMade.get(id);
    return found?.account === account ? found.grant : null;
  }

  /** A grant that decisions of this turn closed, by the request that got it. */
  closedGrantOf(account: AccountName, integration: IntegrationName, requestId: string): Grant | null {
    return this.closedByRequest.get(`${account} ${integration} ${requestId}`) ?? null;
  }

  /**
   * An open call came to its last state. It is counted in the minute and day named, with its grant: a call is in exactly
   * one minute at any time, so that granted = used + returned + expired + open holds in every row.
   */
  callClosed(account: AccountName, grant: Grant, call: Call, minute: number, day: number): void {
    const state = call.state as Exclude<CallState, 'open'>;
    const before = this.usageOf(account, grant.integration, grant.minute, grant.day);
    const after = this.usageOf(account, grant.integration, minute, day);
    for (const usage of before) {
      usage.open -= 1;
      usage.granted -= 1;
    }
    for (const usage of after) {
      usage.granted += 1;
      usage[state] += 1;
    }
  }

  /** Calls of somebody who asked nobody: counted, as used, under `(foreign)`. */
  foreignUsed(account: AccountName, calls: number, minute: number, day: number): void {
    for (const usage of this.usageOf(account, FOREIGN, minute, day)) {
      usage.granted += calls;
      usage.used += calls;
    }
  }

  /** The CRM refused a call: to the integration that made it, or to `(foreign)` whose calls had used the limit up. */
  crmRefused(account: AccountName, integration: IntegrationName, minute: number, day: number): void {
    for (const usage of this.usageOf(account, integration, minute, day)) usage.crmRefused += 1;
  }

  /** Joins the event of its kind, or begins another where the message would grow beyond what NATS takes. */
  event(account: AccountName, integration: IntegrationName, event: LedgerEventName, entry: EventEntry): void {
    const key = `${account} ${integration} ${event}`;
    const bytes = ENTRY_BYTES + INSTANT_BYTES * (entry.usedAt?.length ?? 0);
    const newest = this.newestEvents.get(key);
    if (newest && newest.bytes + bytes <= MAX_EVENT_BYTES) {
      newest.bytes += bytes;
      newest.entries.push(entry);
      return;
    }
    const entries: object[] = [entry];
    this.events.push({ account, integration, event, entries });
    this.newestEvents.set(key, { entries, bytes });
  }

  private usageOf(account: AccountName, integration: IntegrationName, minute: number, day: number): UsageChange[] {
    return [usageIn(this.minutes, account, integration, minute), usageIn(this.days, account, integration, day)];
  }
}

function usageIn(
  usage: Map<string, UsageChange>,
  account: AccountName,
  integration: IntegrationName,
  startsAt: number,
): UsageChange {
  const key = `${account} ${integration} ${startsAt}`;
  let change = usage.get(key);
  if (!change) {
    change = { account, integration, startsAt, granted: 0, used: 0, returned: 0, expired: 0, open: 0, crmRefused: 0 };
    usage.set(key, change);
  }
  return change;
}
