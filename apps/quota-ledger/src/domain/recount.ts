import type { AccountName } from '#contracts';

/*
 * Counts calls from the journal alone, and checks what it tells of each grant. An independent witness of the usage that the
 * ledger counts as it decides: nothing here is shared with usage.ts, replay.ts or the books. docs/operations.md, "Audit".
 *
 *     granted  n calls are open, counted in the minute of the grant
 *     settled  a used call moves to the minute in which it was answered (left, where its answer is still to come);
 *              a returned one stays in its grant's minute
 *     expired  all that is open stays in its grant's minute
 */

/** In the order of the columns: granted, used, returned, expired, open, crmRefused, wouldRefuse. */
export type Counts = [number, number, number, number, number, number, number];
const [GRANTED, USED, RETURNED, EXPIRED, OPEN, REFUSED, WOULD_REFUSE] = [0, 1, 2, 3, 4, 5, 6] as const;

/** A turn as the journal has it. */
export interface WitnessedTurn {
  readonly partition: number;
  readonly seq: number;
  readonly epoch: number;
  readonly atMs: number;
  /** JSON. */
  readonly events: string;
}

/** Where what the journal tells can't be. */
export interface JournalFault {
  readonly fault:
    | 'seq_gap'
    | 'epoch_fell'
    | 'unreadable'
    | 'wrong_partition'
    | 'granted_twice'
    | 'unknown_grant'
    | 'no_such_call'
    | 'two_states'
    | 'wrong_number_expired';
  readonly partition: number;
  readonly seq: number;
  readonly account?: AccountName;
  readonly grantId?: string;
}

interface WitnessedGrant {
  readonly minute: number;
  readonly calls: number;
  /** Calls that came to a last state. */
  readonly closed: Set<number>;
  closedAtMs: number;
}

interface Entry {
  readonly grantId: string;
  readonly calls: number;
  readonly grantedAt: number;
  readonly wouldRefuse?: unknown;
  readonly used: readonly (readonly [number, number, number])[];
  readonly returned: readonly number[];
  readonly at: number;
  readonly counted: number;
  readonly version: number;
}

interface Event {
  readonly account: AccountName;
  readonly integration: string;
  readonly event: string;
  readonly entries: readonly Entry[];
}

export interface RecountTools {
  readonly partition: number;
  /** A partition's accounts belong to it for ever. */
  readonly isOurs: (account: AccountName) => boolean;
  /** How long a minute of an account is under a version of its configuration (null: the one in force at the instant). */
  readonly minuteMsOf: (account: AccountName, version: number | null, atMs: number) => number;
  /** What changes in the calls counted of an integration's minute. */
  readonly count: (account: AccountName, integration: string, minute: number, change: Counts) => void;
  readonly fault: (fault: JournalFault) => void;
}

/** A closed grant is remembered so long, to tell a second end of it from a grant that nobody made. */
const REMEMBERED_MS = 3_600_000;
const FORGET_EVERY_TURNS = 10_000;

/** One partition's journal, told turn by turn in its order. Memory: open grants, and those closed within the hour. */
export class Recount {
  private readonly grants = new Map<string, WitnessedGrant>();
  private readonly minutes = new Map<AccountName, number>();
  private last: Pick<WitnessedTurn, 'seq' | 'epoch'> | null = null;
  /** The journal isn't read from its beginning: grants of before are not known. */
  private begunLater = false;
  turns = 0;
  events = 0;
  granted = 0;
  /** Settled or expired here, but granted before the first turn that was read. */
  grantsFromBefore = 0;
  readonly accounts = new Set<AccountName>();

  constructor(private readonly tools: RecountTools) {}

  /** `counts`: whether the turn is in the stored usage already; what a later one tells is only checked. */
  tell(turn: WitnessedTurn, counts: boolean): void {
    this.inOrder(turn);
    this.turns += 1;
    const events = readEvents(turn.events);
    if (!events) return this.fault(turn, { fault: 'unreadable' });
    for (const event of events) {
      this.events += 1;
      this.accounts.add(event.account);
      if (!this.tools.isOurs(event.account)) this.fault(turn, { fault: 'wrong_partition', account: event.account });
      for (const entry of event.entries) this.tellEntry(turn, event, entry, counts);
    }
    if (this.turns % FORGET_EVERY_TURNS === 0) this.forget(turn.atMs);
  }

  private inOrder(turn: WitnessedTurn): void {
    const { last } = this;
    if (!last) this.begunLater = turn.seq > 1;
    else if (turn.seq !== last.seq + 1) this.fault(turn, { fault: 'seq_gap' });
    if (last && turn.epoch < last.epoch) this.fault(turn, { fault: 'epoch_fell' });
    this.last = turn;
  }

  private tellEntry(turn: WitnessedTurn, { account, integration, event }: Event, entry: Entry, counts: boolean): void {
    const count = (minute: number, change: Partial<Record<keyof Counts & `${number}`, number>>): void => {
      if (counts) this.tools.count(account, integration, minute, countsOf(change));
    };
    switch (event) {
      case 'applied':
        this.minutes.set(account, this.tools.minuteMsOf(account, entry.version, turn.atMs));
        return;
      case 'granted':
        return this.tellGranted(turn, account, entry, count);
      case 'settled':
        return this.tellSettled(turn, account, entry, count);
      case 'expired':
        return this.tellExpired(turn, account, entry, count);
      case 'foreign':
        if (entry.counted > 0)
          count(this.minuteAt(account, entry.at, turn), { [GRANTED]: entry.counted, [USED]: entry.counted });
        return;
      case 'refused':
        return count(this.minuteAt(account, entry.at, turn), { [REFUSED]: 1 });
      default:
        // Places, closings and licences are no calls.
        return;
    }
  }

  private tellGranted(turn: WitnessedTurn, account: AccountName, entry: Entry, count: Count): void {
    const { grantId, calls, grantedAt } = entry;
    if (this.grants.has(grantId)) return this.fault(turn, { fault: 'granted_twice', account, grantId });
    const minute = this.minuteAt(account, grantedAt, turn);
    this.grants.set(grantId, { minute, calls, closed: new Set(), closedAtMs: 0 });
    this.granted += 1;
    count(minute, { [GRANTED]: calls, [OPEN]: calls, ...(entry.wouldRefuse ? { [WOULD_REFUSE]: calls } : {}) });
  }

  private tellSettled(turn: WitnessedTurn, account: AccountName, entry: Entry, count: Count): void {
    const grant = this.known(turn, account, entry.grantId);
    for (const [call, from, to] of entry.used) {
      if (grant && !this.close(turn, account, entry.grantId, grant, call)) continue;
      if (grant) count(grant.minute, { [GRANTED]: -1, [OPEN]: -1 });
      count(this.minuteAt(account, to > turn.atMs ? from : to, turn), { [GRANTED]: 1, [USED]: 1 });
    }
    for (const call of entry.returned)
      if (grant && this.close(turn, account, entry.grantId, grant, call))
        count(grant.minute, { [OPEN]: -1, [RETURNED]: 1 });
  }

  private tellExpired(turn: WitnessedTurn, account: AccountName, { grantId, calls }: Entry, count: Count): void {
    const grant = this.known(turn, account, grantId);
    if (!grant) return;
    const open = grant.calls - grant.closed.size;
    if (open !== calls) this.fault(turn, { fault: 'wrong_number_expired', account, grantId });
    for (let call = 0; call < grant.calls; call += 1) grant.closed.add(call);
    grant.closedAtMs = turn.atMs;
    count(grant.minute, { [OPEN]: -open, [EXPIRED]: open });
  }

  /**
   * The grant that is spoken of. One granted before the first turn read counts in a minute that isn't looked at; only its
   * used calls may have moved into one that is.
   */
  private known(turn: WitnessedTurn, account: AccountName, grantId: string): WitnessedGrant | null {
    const grant = this.grants.get(grantId);
    if (grant) return grant;
    if (this.begunLater) this.grantsFromBefore += 1;
    else this.fault(turn, { fault: 'unknown_grant', account, grantId });
    return null;
  }

  private close(
    turn: WitnessedTurn,
    account: AccountName,
    grantId: string,
    grant: WitnessedGrant,
    call: number,
  ): boolean {
    const there = call >= 0 && call < grant.calls;
    if (!there || grant.closed.has(call)) {
      this.fault(turn, { fault: there ? 'two_states' : 'no_such_call', account, grantId });
      return false;
    }
    grant.closed.add(call);
    grant.closedAtMs = turn.atMs;
    return true;
  }

  private minuteAt(account: AccountName, at: number, { atMs }: WitnessedTurn): number {
    let minuteMs = this.minutes.get(account);
    if (minuteMs === undefined) this.minutes.set(account, (minuteMs = this.tools.minuteMsOf(account, null, atMs)));
    return at - (((at % minuteMs) + minuteMs) % minuteMs);
  }

  private forget(nowMs: number): void {
    for (const [id, { calls, closed, closedAtMs }] of this.grants)
      if (closed.size === calls && closedAtMs + REMEMBERED_MS < nowMs) this.grants.delete(id);
  }

  private fault({ seq }: WitnessedTurn, fault: Omit<JournalFault, 'partition' | 'seq'>): void {
    this.tools.fault({ partition: this.tools.partition, seq, ...fault });
  }
}

type Count = (minute: number, change: Partial<Record<keyof Counts & `${number}`, number>>) => void;

function countsOf(change: Partial<Record<keyof Counts & `${number}`, number>>): Counts {
  const counts: Counts = [0, 0, 0, 0, 0, 0, 0];
  for (const [field, calls] of Object.entries(change)) counts[Number(field)] = calls;
  return counts;
}

function readEvents(json: string): Event[] | null {
  try {
    const events = JSON.parse(json) as unknown;
    const isEvent = (event: Partial<Event> | null): boolean =>
      typeof event?.account === 'string' && typeof event.event === 'string' && Array.isArray(event.entries);
    return Array.isArray(events) && events.every(isEvent) ? (events as Event[]) : null;
  } catch {
    return null;
  }
}
