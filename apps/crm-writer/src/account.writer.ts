import type { Clock, NewId } from '#clock';
import type { AccountName, CallKind, Contact, WrittenAccount } from '#contracts';
import type { Log } from '#telemetry';
import { BatchWriter, MAX_JOBS_PER_POLL } from './batch.writer.js';
import type { CallEnd, CallMaker } from './call.maker.js';
import { ContactWriter } from './contact.writer.js';
import { isFailing, mayBeInFlight, mayGo, opensAt } from './domain/account-gate.js';
import { chooseWriter, FEWEST_WORTH_A_JOB, isReadyToGo } from './domain/choose-writer.js';
import { contactKeysOf, type ContactStanding, type ContactStep, standingOf } from './domain/contact.js';
import {
  MAX_ITEMS_PER_JOB,
  planCalls,
  type PlannedCall,
  type PlannedContactStep,
  requesterKey,
  ticketKey,
  type Writer,
} from './domain/plan-calls.js';
import { askTogether } from './domain/resolve-unknown.js';
import { rankOfPriority } from './domain/write.js';
import { SingleWriter, type WriterTools } from './single.writer.js';
import { UnknownResolver } from './unknown.resolver.js';
import type { QuotaClient } from './quota.client.js';
import type { ItemToAsk, NextDue, NextQuery, NextUp, WaitingCounts, WriteStore } from './write.store.js';

export interface AccountWriterOptions {
  readonly config: WrittenAccount;
  readonly store: WriteStore;
  readonly maker: CallMaker;
  readonly quota: QuotaClient;
  readonly clock: Clock;
  readonly newId: NewId;
  readonly random: () => number;
  readonly log: Log;
  readonly bounds: AccountWriterBounds;
  /** Aborted when the account is no longer ours, or the service stops. */
  readonly ended: AbortSignal;
}

export interface AccountWriterBounds {
  /** Calls of this account in flight at once, of all sorts. */
  readonly maxCallsInFlight: number;
  /** Bulk submissions among them. */
  readonly maxSubmissionsInFlight: number;
}

/** Looks at the store when nothing told of a change: another replica may have taken commands in. */
const IDLE_POLL_MS = 1_000;
const TROUBLE_WAIT_MS = 1_000;
const MAX_HOLDS_PER_RELEASE = 50;
/** Read beyond what may start, for those that turn out to be held by something. */
const SPARE_INTERACTIONS = 8;
const MAX_BULKS_PER_LISTING = 100;
/** Looks that a job takes at most in the usual case. */
const POLLS_PER_JOB = 2;
/** So long a poll may wait for a window's end at no harm, the CRM's own time; a job's results are kept for longer. */
const POLLS_MAY_WAIT_MS = 600_000;
/** Items in doubt read at once. */
const MAX_ITEMS_ASKED = 500;
/** How soon a question about jobs that failed is asked again, the CRM's own time; doubled with each failure in a row. */
const FAILED_QUESTION_WAIT_MS = 5_000;
const LONGEST_QUESTION_WAIT_MS = 120_000;
/** What takes turns in finding out whether a failing CRM is well again: one sort that always fails must not keep the others out. */
const PROBES = ['write', 'contact', 'ask'] as const;
/** Keys of calls that served as probes already; beyond this many all begin anew. */
const MAX_PROBED_KEYS = 1_000;

const CONTACT_KINDS: Readonly<Record<ContactStep, CallKind>> = {
  search: 'users.search',
  create: 'users.create',
  adopt: 'users.create_or_update',
};

/**
 * Calls by which what waits gets on: many at once, and one by one. While no call for many may go, only a few are read, and while none
 * may go at all, nothing is.
 */
const KINDS_FOR = {
  create: { many: ['tickets.create_many'], one: ['tickets.create', 'users.search', 'users.create'] },
  update: { many: ['tickets.update_many'], one: ['tickets.update'] },
} as const satisfies Readonly<Record<NextQuery['sort'], Readonly<Record<'many' | 'one', readonly CallKind[]>>>>;

/**
 * One account's writing, while this process owns it: again and again, whenever something is due, plans the fewest calls for
 * what goes next and starts as many as may be in flight. Everything that lasts is in the store; what is under way here is
 * kept by key (interaction, contact, ticket, call), so that nothing is started twice.
 */
export class AccountWriter {
  readonly #single: SingleWriter;
  readonly #batch: BatchWriter;
  readonly #contacts: ContactWriter;
  readonly #resolver: UnknownResolver;
  readonly #tasks = new Map<string, Task>();
  readonly #taken = new Set<string>();
  /** Interactions that a limit of their own holds back, until when. */
  readonly #delayed = new Map<string, number>();
  /** What was tried while the CRM fails: the next probe is something else, as long as there is something else. */
  readonly #probed = new Set<string>();
  /** Failures in a row of questions that the store doesn't keep waiting itself. */
  readonly #failedQuestions = new Map<string, number>();
  #nextProbe = 0;
  #startedCalls = 0;
  #wake = new AbortController();
  #woken = false;
  #lookAfterSent = true;
  #contactSteps = 0;
  #submissions = 0;

  constructor(private readonly options: AccountWriterOptions) {
    const { config, store, maker, random } = options;
    const tools: WriterTools = {
      account: config.name,
      store,
      maker,
      random,
      clock: options.clock,
      newId: options.newId,
      log: options.log,
      timeScale: config.crm.timeScale,
    };
    this.#single = new SingleWriter(tools);
    this.#batch = new BatchWriter(tools);
    this.#resolver = new UnknownResolver(tools);
    this.#contacts = new ContactWriter(tools, config.crm.externalIdPrefix);
  }

  get account(): AccountName {
    return this.options.config.name;
  }

  /** Why nothing goes at the moment, and for how long yet; null where calls may go. */
  get closedFor(): { readonly reason: string; readonly forMs: number } | null {
    const { gate } = this.options.maker;
    const forMs = gate.closedUntilMs - this.options.clock.monotonicMs();
    return forMs > 0 ? { reason: gate.reason ?? 'closed', forMs: Math.ceil(forMs) } : null;
  }

  /** Something may be due: look now. */
  wake(): void {
    this.#woken = true;
    this.#wake.abort();
  }

  /** Runs until `ended`; then waits for the calls under way. Never rejects. */
  async run(): Promise<void> {
    const { ended, log } = this.options;
    ended.addEventListener('abort', () => this.wake(), { once: true });
    while (!ended.aborted) {
      this.#woken = false;
      this.#wake = new AbortController();
      let waitMs: number;
      try {
        waitMs = await this.#tick();
      } catch (error) {
        log.warn('nothing could be planned', { account: this.account, error });
        waitMs = TROUBLE_WAIT_MS;
        this.#woken = false;
      }
      if (!this.#woken) await this.options.clock.sleep(waitMs, this.#wake.signal).catch(() => undefined);
    }
    await Promise.all([...this.#tasks.values()].map(({ done }) => done));
  }

  /** Starts what may start; how long there is nothing to do unless something happens, ms. */
  async #tick(): Promise<number> {
    const { store, clock, maker } = this.options;
    const { account } = this;
    if (this.#lookAfterSent) await this.#lookForSent();
    const due = await store.nextDue(account);
    // A predecessor's claim may be committed after this process has become the owner.
    if (isDue(due.sentInMs)) await this.#lookForSent();
    if (isDue(due.lapseInMs)) await store.lapse(account);
    if (isDue(due.contactCallInMs)) await store.freeContacts(account);
    if (due.holds) this.#releaseHolds();
    if (isFailing(maker.gate)) {
      if (this.#room() > 0) await this.#startProbe(due);
    } else {
      this.#probed.clear();
      // At most half of the room: what is new must not wait until a whole job in doubt has been looked up.
      const asksRoom = Math.max(1, Math.floor(this.#room() / 2));
      if (this.#room() > 0) await this.#startAsking(due, asksRoom);
      if (this.#room() > 0) await this.#startWriting();
    }
    const opensInMs = (opensAt(maker.gate, clock.monotonicMs()) ?? Infinity) - clock.monotonicMs();
    return Math.min(IDLE_POLL_MS, Math.max(opensInMs, 1), this.#nextDelayedInMs(), ...dueLater(due));
  }

  /** Calls stored as sent for which nothing here waits are in doubt. */
  async #lookForSent(): Promise<void> {
    this.#lookAfterSent = false;
    const calls = await this.options.store
      .abandonSent(this.account, [...this.#tasks.keys()])
      .catch((error: unknown) => {
        this.#lookAfterSent = true;
        throw error;
      });
    if (calls > 0) this.options.log.warn('calls without an answer were found', { account: this.account, calls });
  }

  /** How many more calls may be started now. */
  #room(): number {
    const { maker, clock, bounds } = this.options;
    return mayBeInFlight(maker.gate, clock.monotonicMs(), bounds.maxCallsInFlight) - this.#tasks.size;
  }

  /** The one call that may go while the CRM fails: each sort in turn, and of each sort what wasn't tried yet. */
  async #startProbe(due: NextDue): Promise<void> {
    const before = this.#startedCalls;
    for (let tried = 0; tried < PROBES.length; tried += 1) {
      const turn = (this.#nextProbe + tried) % PROBES.length;
      const sort = PROBES[turn]!;
      if (sort === 'ask') await this.#startAsking(due, 1);
      else await this.#startWriting(sort);
      if (this.#startedCalls === before) continue;
      this.#nextProbe = (turn + 1) % PROBES.length;
      return;
    }
    if (this.#probed.size === 0) return;
    this.#probed.clear();
    this.wake();
  }

  /** What is in doubt and what runs at the CRM comes first: others wait behind it. */
  async #startAsking(due: NextDue, room: number): Promise<void> {
    const { store, newId } = this.options;
    const { account } = this;
    const jobsDue = isDue(due.jobInMs) && this.#may('jobs.show') && this.#isFree('poll');
    const listDue = isDue(due.jobListInMs) && this.#may('jobs.list') && this.#isFree('list');
    if (jobsDue || listDue) {
      const jobs = await store.runningJobs(account, MAX_JOBS_PER_POLL);
      const callId = newId();
      if (jobsDue && jobs.length > 0) this.#start(callId, ['poll'], () => this.#batch.poll(jobs, callId));
      const bulks = listDue ? await store.bulksToList(account, MAX_BULKS_PER_LISTING) : [];
      const known = new Set(jobs.map(({ jobId }) => jobId));
      const listId = newId();
      if (bulks.length > 0 && this.#room() > 0)
        this.#start(listId, ['list'], () => this.#batch.list(bulks, known, listId));
    }
    if (isDue(due.againInMs) && this.#may('tickets.create'))
      for (const call of await store.callsToSendAgain(account, room, this.#excluded()))
        if (this.#room() > 0)
          this.#start(call.callId, [call.item.interactionId, call.callId], () => this.#single.sendAgain(call));
    if (isDue(due.itemInMs)) await this.#startAskingForItems(room);
  }

  /** Together what is cheaper to ask for together, the rest one by one. */
  async #startAskingForItems(room: number): Promise<void> {
    const { store, config, maker, newId } = this.options;
    const items = await store.itemsToAsk(this.account, MAX_ITEMS_ASKED, this.#excluded());
    const together = askTogether(isFailing(maker.gate) ? [] : items, config.crm.timeScale);
    const byExport = this.#may('tickets.export') ? together.byExport : [];
    const { byLook, later } = together;
    const callId = newId();
    if (byExport.length > 0)
      this.#startAskingTogether(callId, byExport, () => this.#resolver.resolveByExport(byExport, callId));
    if (byLook.length > 0 && this.#room() > 0) this.#startLooking(byLook);
    const asked = new Set([...byExport, ...byLook, ...later].map(({ interactionId }) => interactionId));
    let left = room;
    for (const item of items) {
      if (asked.has(item.interactionId)) continue;
      if (!this.#may(item.ticketId === null ? 'tickets.list' : 'tickets.audits')) continue;
      if (left <= 0 || this.#room() <= 0) return;
      left -= 1;
      const id = newId();
      this.#start(id, [item.interactionId], () => this.#resolver.resolve(item, id));
    }
  }

  #startLooking(items: readonly ItemToAsk[]): void {
    const callId = this.options.newId();
    const hinted = items.find((item) => this.#batch.hintFor(item.callId) !== null);
    const job = hinted ? this.#batch.hintFor(hinted.callId) : null;
    if (hinted && job && this.#may('tickets.audits')) {
      const ofCall = items.filter((item) => item.callId === hinted.callId);
      this.#startAskingTogether(callId, ofCall, () => this.#resolver.resolveByResults(ofCall, job, callId));
    } else if (this.#may('tickets.list'))
      this.#startAskingTogether(callId, items, () => this.#resolver.resolveByLook(items, callId));
  }

  #startAskingTogether(callId: string, items: readonly ItemToAsk[], ask: () => Promise<CallEnd>): void {
    this.#start(
      callId,
      items.map(({ interactionId }) => interactionId),
      ask,
    );
  }

  /** Starts contact steps and calls, or as a probe one of that sort. */
  async #startWriting(only?: 'contact' | 'write'): Promise<void> {
    const { store } = this.options;
    const counts = await store.countWaiting(this.account);
    if (counts.creates + counts.updates === 0) return;
    const creates = this.#writerFor('tickets.create', counts.creates, counts.createsLive);
    const updates = this.#writerFor('tickets.update', counts.updates, counts.updatesLive);
    const up = await this.#nextUp(counts, creates, updates);
    const plan = planCalls(up.interactions, {
      creates,
      updates,
      fewestPerJob: this.options.config.batching === 'always' ? 1 : FEWEST_WORTH_A_JOB,
      externalIdPrefix: this.options.config.crm.externalIdPrefix,
      contactOf: (contact) => standingIn(up, contact),
      taken: new Set(this.#excluded()),
    });
    for (const { interactionId, because } of plan.held)
      if (because === 'contactRefused') await this.#parkForContact(interactionId, up);
    const steps = only === 'write' ? [] : plan.contactSteps.filter(({ step }) => this.#may(CONTACT_KINDS[step]));
    for (const next of inTurn(steps, only === 'contact' ? [] : plan.calls)) {
      if (this.#room() <= 0) return;
      if ('step' in next) this.#startContactStep(next);
      else this.#startCall(next, steps.length + this.#contactSteps);
    }
  }

  #writerFor(kind: CallKind, waiting: number, waitingLive: number): Writer {
    const { config, maker } = this.options;
    const { batching, crm } = config;
    return chooseWriter({
      batching,
      waiting,
      waitingLive,
      standings: maker.standingsFor(kind),
      timeScale: crm.timeScale,
    });
  }

  async #nextUp(counts: WaitingCounts, creates: Writer, updates: Writer): Promise<NextUp> {
    const { store } = this.options;
    const exclude = this.#excluded();
    const interactions: NextUp['interactions'][number][] = [];
    const contacts = new Map<string, NonNullable<ReturnType<NextUp['contacts']['get']>>>();
    for (const [sort, writer, waiting] of [
      ['create', creates, counts.creates],
      ['update', updates, counts.updates],
    ] as const) {
      const { many, one } = KINDS_FOR[sort];
      const mayMany = many.some((kind) => this.#may(kind));
      if (waiting === 0 || (!mayMany && !one.some((kind) => this.#may(kind)))) continue;
      const limit = writer === 'batch' && mayMany ? MAX_ITEMS_PER_JOB * 2 : this.#room() + SPARE_INTERACTIONS;
      const up = await store.next(this.account, { sort, limit, exclude });
      interactions.push(...up.interactions);
      for (const [key, contact] of up.contacts) contacts.set(key, contact);
    }
    return { interactions, contacts };
  }

  #startContactStep(planned: PlannedContactStep): void {
    if (!this.#may(CONTACT_KINDS[planned.step])) return;
    const callId = this.options.newId();
    this.#contactSteps += 1;
    this.#start(
      callId,
      planned.keys,
      () => this.#contacts.take(planned, callId),
      () => (this.#contactSteps -= 1),
    );
  }

  #startCall(call: PlannedCall, contactsPending: number): void {
    if (!this.#may(call.kind)) return;
    const callId = this.options.newId();
    const keys = call.items.flatMap(({ interactionId, ticketId, contactKeys, requester }) => [
      interactionId,
      ...(ticketId === null ? contactKeys : [ticketKey(ticketId)]),
      ...(requester.by === 'userId' ? [requesterKey(requester.userId)] : []),
    ]);
    if (call.writer === 'single') {
      this.#start(callId, keys, () => this.#single.write(call, callId));
      return;
    }
    if (this.#submissions >= this.options.bounds.maxSubmissionsInFlight || !isReadyToGo(call, contactsPending)) return;
    // Of a window that stays full for long, the calls that its polls take must be left too.
    const left = this.options.maker.leastLeft('jobs.show', POLLS_MAY_WAIT_MS / this.options.config.crm.timeScale);
    if (left !== null && left < 1 + POLLS_PER_JOB) return;
    this.#submissions += 1;
    this.#start(
      callId,
      keys,
      () => this.#batch.submit(call, callId),
      () => (this.#submissions -= 1),
    );
  }

  #releaseHolds(): void {
    if (this.#taken.has('holds')) return;
    const { store, quota } = this.options;
    this.#start('holds', ['holds'], async () => {
      const held = await store.holdsToRelease(this.account, MAX_HOLDS_PER_RELEASE);
      const heard = await quota.release(
        this.account,
        held.flatMap(({ holdIds }) => holdIds),
      );
      if (heard) await store.holdsReleased(held.map(({ callId }) => callId));
      return heard ? 'made' : 'held';
    });
  }

  async #parkForContact(interactionId: string, up: NextUp): Promise<void> {
    const contact = up.interactions.find((one) => one.interactionId === interactionId)?.ensure?.contact;
    const standing = contact ? standingIn(up, contact) : null;
    const code = standing?.standing === 'refused' ? standing.code : 'contact_refused';
    await this.options.store.parkForContact(this.account, interactionId, code);
  }

  #may(kind: CallKind): boolean {
    return mayGo(this.options.maker.gate, kind, this.options.clock.monotonicMs());
  }

  #excluded(): string[] {
    const nowMs = this.options.clock.monotonicMs();
    for (const [interactionId, untilMs] of this.#delayed) if (untilMs <= nowMs) this.#delayed.delete(interactionId);
    return [...this.#taken, ...this.#delayed.keys(), ...this.#probed];
  }

  #isFree(key: string): boolean {
    return !this.#excluded().includes(key);
  }

  #nextDelayedInMs(): number {
    const nowMs = this.options.clock.monotonicMs();
    let leastMs = Infinity;
    for (const untilMs of this.#delayed.values()) leastMs = Math.min(leastMs, untilMs - nowMs);
    return Math.max(leastMs, 1);
  }

  #start(id: string, keys: readonly string[], work: () => Promise<CallEnd>, after: () => void = () => undefined): void {
    this.#startedCalls += 1;
    for (const key of keys) this.#taken.add(key);
    if (isFailing(this.options.maker.gate)) {
      if (this.#probed.size >= MAX_PROBED_KEYS) this.#probed.clear();
      for (const key of keys) this.#probed.add(key);
    }
    const done = work()
      .then((end) => this.#ended(end, keys))
      .catch((error: unknown) => {
        this.#lookAfterSent = true;
        this.options.log.warn('a call went wrong', { account: this.account, callId: id, error });
      })
      .finally(() => {
        for (const key of keys) this.#taken.delete(key);
        this.#tasks.delete(id);
        after();
        this.wake();
      });
    this.#tasks.set(id, { done });
  }

  #ended(end: CallEnd, keys: readonly string[]): void {
    if (end === 'unrecorded') this.#lookAfterSent = true;
    const nowMs = this.options.clock.monotonicMs();
    for (const key of keys) {
      const failures = end === 'failed' ? (this.#failedQuestions.get(key) ?? 0) + 1 : 0;
      if (failures === 0) this.#failedQuestions.delete(key);
      else if (key === 'poll' || key === 'list') {
        this.#failedQuestions.set(key, failures);
        const waitMs = Math.min(FAILED_QUESTION_WAIT_MS * 2 ** (failures - 1), LONGEST_QUESTION_WAIT_MS);
        this.#delayed.set(key, nowMs + waitMs / this.options.config.crm.timeScale);
      }
      if (typeof end === 'object') this.#delayed.set(key, nowMs + end.delayedMs);
    }
  }
}

interface Task {
  readonly done: Promise<void>;
}

function isDue(inMs: number | null): boolean {
  return inMs !== null && inMs <= 0;
}

/** What is due by itself later; what is due already and couldn't start waits for the end of something else. */
function dueLater(due: NextDue): number[] {
  const { holds: _, ...instants } = due;
  return Object.values(instants)
    .filter((inMs): inMs is number => inMs !== null && inMs > 0)
    .map((inMs) => inMs + 1);
}

function standingIn(up: NextUp, contact: Contact): ContactStanding {
  return standingOf(
    contact,
    contactKeysOf(contact).map((key) => up.contacts.get(key) ?? null),
  );
}

/** Contact steps and calls by priority; at equal priority what makes tickets goes before what changes them. */
function inTurn(
  steps: readonly PlannedContactStep[],
  calls: readonly PlannedCall[],
): (PlannedContactStep | PlannedCall)[] {
  const turn = (next: PlannedContactStep | PlannedCall): number =>
    rankOfPriority(next.priority) * 2 + ('step' in next || next.kind.startsWith('tickets.create') ? 0 : 1);
  return [...steps, ...calls].sort((a, b) => turn(a) - turn(b));
}
