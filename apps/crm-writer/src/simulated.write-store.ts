import type { Clock } from '#clock';
import type { AccountName, CallKind, Command, CommandAction, InteractionId, Outcome, WriteState } from '#contracts';
import { contactKeyOf, contactKeysOf, type ContactStep, type RememberedContact } from './domain/contact.js';
import { MAX_COMMANDS_PER_ITEM } from './domain/merge-commands.js';
import { outcomeOf } from './domain/outcome-of.js';
import type { PlannedItem } from './domain/plan-calls.js';
import { priorityOfRank, rankOfPriority, UNDER_A_GRANT, type WaitingInteraction } from './domain/write.js';
import { InOrder } from './simulated.write-queue.js';
import type {
  AccountCounts,
  AskedNext,
  AskedPlace,
  CallRecord,
  CallToSendAgain,
  Claim,
  ClaimAgain,
  ContactClaim,
  ContactRecord,
  InteractionView,
  ItemEffectAt,
  ItemToAsk,
  ListedJobs,
  NextDue,
  NextQuery,
  NextUp,
  PolledJob,
  RunningJob,
  StoredItem,
  StoredRequest,
  UnlistedBulk,
  WaitingCounts,
  WriteStore,
} from './write.store.js';

/** More waiting interactions than this aren't counted. */
const COUNT_AT_MOST = 1_000;
/** Commands of one interaction read at once, bytes. */
const MAX_BYTES_PER_INTERACTION = 150_000;
const LAPSE_AT_MOST = 500;
const VIEWED_AT_MOST = 200;
const TICKET_WRITES: readonly string[] = [
  'tickets.create',
  'tickets.create_many',
  'tickets.update',
  'tickets.update_many',
];

interface InteractionRow {
  readonly interactionId: InteractionId;
  readonly writes: WriteRow[];
  contactKey: string | null;
  queuePath: string | null;
  ticketId: number | null;
  ticketOpen: boolean;
  followUpOf: number | null;
  busyCallId: string | null;
  solo: boolean;
  mostInJob: number | null;
  waiting: number;
  priority: number;
  since: number;
  runnable: boolean;
  notBefore: number;
}

interface WriteRow {
  /** Another one of the same id where it was of a dry run, and is meant now. */
  command: Command;
  readonly priority: number;
  readonly bytes: number;
  readonly interaction: InteractionRow;
  state: WriteState;
  grantId: string | null;
  callId: string | null;
  attempts: number;
  ticketId: number | null;
  reason: { readonly code: string; readonly text: string } | null;
}

interface CallRow {
  readonly callId: string;
  readonly account: AccountName;
  readonly kind: CallKind;
  readonly writer: 'single' | 'batch' | 'contact';
  readonly priority: number;
  readonly holdIds: readonly string[];
  readonly request: StoredRequest;
  readonly items: ItemRow[];
  readonly firstSentAt: number;
  state: 'sent' | 'job' | 'unknown' | 'again' | 'closed';
  grantId: string;
  holdsReleased: boolean;
  sends: number;
  underWayUntil: number;
  askAt: number;
  asks: number;
  jobsSettled: boolean;
  /** Its items are asked for although its job may still run. */
  mayRun: boolean;
  settledAt: number | null;
  suspects: readonly string[] | null;
}

interface ItemRow {
  readonly index: number;
  readonly interactionId: InteractionId;
  readonly commandIds: readonly string[];
  readonly writes: readonly WriteRow[];
  readonly ticketId: number | null;
  readonly followUpOf: number | null;
  readonly externalId: string;
  readonly hasComment: boolean;
  readonly attempts: number;
  state: 'sent' | 'unknown' | 'done' | 'returned' | 'parked';
  own: boolean;
  asks: number;
  askAt: number;
  cursor: string | null;
}

interface JobRow {
  readonly jobId: string;
  readonly call: CallRow;
  readonly total: number;
  polls: number;
  misses: number;
  pollAt: number;
}

interface ContactRow {
  userId: number | null;
  step: ContactStep | 'refused' | null;
  refusedFor: string | null;
  busyCallId: string | null;
  notBefore: number;
  attempts: number;
}

interface AccountRows {
  readonly interactions: Map<InteractionId, InteractionRow>;
  readonly ofTicket: Map<number, Set<InteractionRow>>;
  readonly ofContact: Map<string, Set<InteractionRow>>;
  /** Interactions that could go but for their wait, in the order in which they go. */
  readonly creates: InOrder<InteractionRow>;
  readonly updates: InOrder<InteractionRow>;
  /** Those of them that were told to wait; looked through, not kept exact. */
  readonly told: Set<InteractionRow>;
  readonly contacts: Map<string, ContactRow>;
  readonly contactsTold: Set<ContactRow>;
  readonly lapsing: Set<WriteRow>;
  /** Calls that aren't closed. */
  readonly open: Set<CallRow>;
  readonly holding: Set<CallRow>;
  readonly jobs: Map<string, JobRow>;
  readonly reads: Map<string, number>;
}

/** What goes wrong, or takes its time: called around the effect of every method that changes something. May throw, or wait. */
export interface StoreFaults {
  /** Throwing here leaves everything as it was. */
  readonly beforeCommit?: (method: keyof WriteStore) => void | Promise<void>;
  /** Throwing here loses the answer of a commit that did take effect. */
  readonly afterCommit?: (method: keyof WriteStore) => void | Promise<void>;
}

export interface SimulatedStoreOptions {
  readonly clock: Pick<Clock, 'nowMs'>;
  readonly faults?: StoreFaults;
  /** Called after each commit that put outcomes into the outbox. */
  readonly wrote?: () => void;
}

/**
 * The writer's memory without a database, for virtual time: the same states, and the same answers, as in Postgres (one
 * suite tells both the same stories). Each method takes effect in one breath, so nothing ever sees half of one. Outlives
 * the writers that use it, as a disk does.
 */
export class SimulatedWriteStore implements WriteStore {
  /** By their message ids, oldest first; whoever publishes them takes them out. */
  readonly outbox = new Map<string, Outcome>();
  readonly #accounts = new Map<AccountName, AccountRows>();
  readonly #writes = new Map<string, WriteRow>();
  readonly #calls = new Map<string, CallRow>();
  readonly #asked = new Map<string, AskedPlace & { account: AccountName; askedAt: number; givenUp: boolean }>();

  constructor(private readonly options: SimulatedStoreOptions) {}

  takeIn(commands: readonly Command[]): Promise<number> {
    return this.#commit('takeIn', () => {
      const touched = new Map<InteractionRow, AccountRows>();
      let inserted = 0;
      for (const command of commands) {
        const rows = this.#rowsOf(command.account);
        const interaction = interactionIn(rows, command.data.interactionId);
        touched.set(interaction, rows);
        if (this.#insert(command, interaction, rows)) inserted += 1;
        inserted += takeUpRehearsed(command, interaction);
      }
      if (inserted > 0) for (const [interaction, rows] of touched) refresh(rows, interaction);
      return inserted;
    });
  }

  #insert(command: Command, interaction: InteractionRow, rows: AccountRows): boolean {
    const { action } = command.data;
    if (this.#writes.has(command.id)) return false;
    const isTicket = action.kind === 'ensureTicket';
    if (isTicket && interaction.writes.some((write) => write.command.type === 'ensureTicket')) return false;
    const write: WriteRow = {
      command,
      priority: rankOfPriority(command.data.priority),
      bytes: Buffer.byteLength(JSON.stringify(action)),
      interaction,
      state: command.data.dryRun ? 'rehearsed' : 'waiting',
      grantId: null,
      callId: null,
      attempts: 0,
      ticketId: null,
      reason: null,
    };
    this.#writes.set(command.id, write);
    interaction.writes.push(write);
    interaction.writes.sort(inEffectOrder);
    if (command.data.notAfter !== null) rows.lapsing.add(write);
    if (!isTicket) return true;
    interaction.queuePath ??= action.queuePath;
    const key = contactKeyOf(action.contact);
    if (interaction.contactKey === null && key !== null) {
      interaction.contactKey = key;
      addTo(rows.ofContact, key, interaction);
    }
    return true;
  }

  abandonSent(account: AccountName, except: readonly string[]): Promise<number> {
    return this.#commit('abandonSent', () => {
      const abandoned = [...this.#rowsOf(account).open].filter(
        ({ state, callId }) => state === 'sent' && !except.includes(callId),
      );
      for (const call of abandoned) {
        call.state = 'unknown';
        call.askAt = call.underWayUntil;
        for (const item of call.items) {
          if (item.state === 'sent') {
            item.state = 'unknown';
            item.askAt = call.underWayUntil;
          }
          for (const write of item.writes)
            if (write.callId === call.callId && write.state === 'sent')
              change(write, { state: 'unknown', reason: { code: 'writer_gone', text: '' } });
        }
      }
      return abandoned.length;
    });
  }

  async countWaiting(account: AccountName): Promise<WaitingCounts> {
    const rows = this.#rowsOf(account);
    const nowMs = this.#nowMs();
    const of = (queue: InOrder<InteractionRow>): [number, number] => {
      let all = queue.length;
      let live = queue.countWhile(({ priority }) => priority === 0);
      for (const row of rows.told) {
        if (row.notBefore <= nowMs || !queue.has(row)) continue;
        all -= 1;
        if (row.priority === 0) live -= 1;
      }
      return [Math.min(all, COUNT_AT_MOST), Math.min(live, COUNT_AT_MOST)];
    };
    const [creates, createsLive] = of(rows.creates);
    const [updates, updatesLive] = of(rows.updates);
    return { creates, createsLive, updates, updatesLive };
  }

  async next(account: AccountName, { sort, limit, exclude }: NextQuery): Promise<NextUp> {
    const rows = this.#rowsOf(account);
    const nowMs = this.#nowMs();
    const excluded = new Set<string>(exclude);
    const picked: InteractionRow[] = [];
    for (const row of sort === 'create' ? rows.creates : rows.updates) {
      if (picked.length >= limit) break;
      if (row.notBefore <= nowMs && isFree(rows, row, excluded, nowMs)) picked.push(row);
    }
    const interactions: WaitingInteraction[] = [];
    const contacts = new Map<string, RememberedContact>();
    for (const row of picked) {
      const next = waitingOf(rows, row);
      if (next.appendTo !== null && [...(rows.ofTicket.get(next.appendTo) ?? [])].some(isBusy)) continue;
      interactions.push(next);
      for (const key of next.ensure ? contactKeysOf(next.ensure.contact) : []) {
        const contact = rows.contacts.get(key);
        if (contact) contacts.set(key, rememberedAt(contact, nowMs));
      }
    }
    return { interactions, contacts };
  }

  askForPlace(account: AccountName, place: AskedPlace): Promise<boolean> {
    return this.#commit('askForPlace', () => {
      const asked = this.#asked.get(place.requestId);
      if (asked?.givenUp) return false;
      if (asked) asked.askedAt = this.#nowMs();
      else this.#asked.set(place.requestId, { ...place, account, askedAt: this.#nowMs(), givenUp: false });
      return true;
    });
  }

  takePlacesLeft(account: AccountName, olderThanMs: number, limit: number): Promise<AskedPlace[]> {
    return this.#commit('takePlacesLeft', () => {
      const left = [...this.#asked.values()]
        .filter((asked) => asked.account === account && asked.askedAt <= this.#nowMs() - olderThanMs)
        .sort((a, b) => a.askedAt - b.askedAt)
        .slice(0, limit);
      for (const asked of left) asked.givenUp = true;
      return left.map(({ requestId, kind, priority }) => ({ requestId, kind, priority }));
    });
  }

  forgetPlace(requestId: string): Promise<void> {
    return this.#commit('forgetPlace', () => void this.#asked.delete(requestId));
  }

  claim(claim: Claim): Promise<boolean> {
    return this.#commit('claim', () => {
      const { account, callId, requestId, items, grantId } = claim;
      const rows = this.#rowsOf(account);
      if (requestId !== null && this.#asked.get(requestId)?.givenUp !== false) return false;
      if (new Set(items.map(({ interactionId }) => interactionId)).size !== items.length) return false;
      if (!items.every((item) => this.#mayBeClaimed(rows, item))) return false;
      if (requestId !== null) this.#asked.delete(requestId);
      const call = this.#newCall(claim, claim.writer);
      for (const [index, item] of items.entries()) {
        const interaction = rows.interactions.get(item.interactionId)!;
        interaction.busyCallId = callId;
        rememberRequester(rows, item);
        const writes = item.commandIds.map((commandId) => this.#writes.get(commandId)!);
        for (const write of writes) change(write, { state: 'sent', callId, grantId, reason: null });
        call.items.push(itemOf(item, index, writes));
        refresh(rows, interaction);
      }
      return true;
    });
  }

  #mayBeClaimed(rows: AccountRows, { interactionId, knownTicketId, commandIds }: PlannedItem): boolean {
    const interaction = rows.interactions.get(interactionId);
    if (!interaction || interaction.busyCallId !== null || interaction.ticketId !== knownTicketId) return false;
    return commandIds.every((commandId) => this.#writes.get(commandId)?.state === 'waiting');
  }

  #newCall(claim: Omit<Claim, 'writer' | 'items' | 'holdIds' | 'requestId'>, writer: CallRow['writer']): CallRow {
    const { account, callId, kind, priority, grantId, request, underWayForMs } = claim;
    if (this.#calls.has(callId)) throw new Error(`a call ${callId} is stored already`);
    const holdIds = 'holdIds' in claim ? (claim.holdIds as readonly string[]) : [];
    const call: CallRow = {
      callId,
      account,
      kind,
      writer,
      priority: rankOfPriority(priority),
      holdIds,
      request,
      items: [],
      firstSentAt: this.#nowMs(),
      state: 'sent',
      grantId,
      holdsReleased: holdIds.length === 0,
      sends: 1,
      underWayUntil: this.#nowMs() + underWayForMs,
      askAt: Infinity,
      asks: 0,
      jobsSettled: writer !== 'batch',
      mayRun: false,
      settledAt: null,
      suspects: null,
    };
    const rows = this.#rowsOf(account);
    this.#calls.set(callId, call);
    rows.open.add(call);
    if (!call.holdsReleased) rows.holding.add(call);
    return call;
  }

  claimAgain({ callId, sends, grantId, underWayForMs }: ClaimAgain): Promise<boolean> {
    return this.#commit('claimAgain', () => {
      const call = this.#calls.get(callId);
      if (!call || call.state !== 'again' || call.sends !== sends) return false;
      call.state = 'sent';
      call.sends += 1;
      call.grantId = grantId;
      call.underWayUntil = this.#nowMs() + underWayForMs;
      for (const item of call.items) {
        if (item.state === 'unknown') item.state = 'sent';
        for (const write of item.writes)
          if (write.callId === callId && write.state === 'unknown') change(write, { state: 'sent', grantId });
      }
      return true;
    });
  }

  claimContact(claim: ContactClaim): Promise<boolean> {
    return this.#commit('claimContact', () => {
      const { contacts } = this.#rowsOf(claim.account);
      const taken = claim.keys.map((key) => contacts.get(key) ?? null);
      if (taken.some((row) => row !== null && (row.busyCallId !== null || row.userId !== null))) return false;
      this.#newCall(claim, 'contact');
      for (const key of claim.keys) {
        const row = contactIn(contacts, key, claim.step);
        row.busyCallId = claim.callId;
        row.step = claim.step;
        row.refusedFor = null;
      }
      return true;
    });
  }

  record(record: CallRecord): Promise<boolean> {
    return this.#commit('record', () => {
      const { account, callId, next } = record;
      const call = this.#lockedCall(callId, record.sends);
      if (!call) return false;
      const rows = this.#rowsOf(account);
      const effects = record.effects.filter((effect) => this.#closeItem(call, effect));
      if (next.to === 'job') this.#beginJob(rows, call, next);
      else if (call.writer === 'batch' && next.to === 'settled' && !next.mayRunOn) endJob(rows, call);
      const settled = effects.flatMap((effect) => settleWrites(call, effect));
      for (const { interactionId, effect, index } of effects)
        freeInteraction(
          rows,
          rows.interactions.get(interactionId),
          { callId, effect, item: call.items[index]! },
          this.#nowMs(),
        );
      for (const { index, effect } of effects)
        if (effect.effect === 'followUp') closeTicket(rows, call.items[index]!.ticketId);
      this.#announce(call, settled);
      for (const { interactionId } of effects) refresh(rows, rows.interactions.get(interactionId)!);
      if (next.to === 'stuck') this.#reschedule(account, [{ jobId: next.jobId, inMs: next.pollInMs, missed: false }]);
      this.#answer(call, next);
      return true;
    });
  }

  #lockedCall(callId: string, sends: number): CallRow | null {
    const call = this.#calls.get(callId);
    return call?.sends === sends && ['sent', 'job', 'unknown'].includes(call.state) ? call : null;
  }

  #closeItem(call: CallRow, { index, effect }: ItemEffectAt): boolean {
    const item = call.items[index];
    if (!item || !isOpen(item)) return false;
    item.state = effect.effect === 'waiting' || effect.effect === 'followUp' ? 'returned' : effect.effect;
    item.own = effect.effect === 'unknown' && effect.own;
    item.askAt = this.#nowMs() + (effect.effect === 'unknown' ? effect.askInMs : 0);
    return true;
  }

  #beginJob(rows: AccountRows, call: CallRow, next: Extract<CallRecord['next'], { to: 'job' }>): void {
    if (rows.jobs.has(next.jobId) || [...rows.jobs.values()].some((job) => job.call === call))
      throw new Error(`the job ${next.jobId}, or one of its call, is stored already`);
    const { jobId, total } = next;
    rows.jobs.set(jobId, { jobId, call, total, polls: 0, misses: 0, pollAt: this.#nowMs() + next.pollInMs });
  }

  #answer(call: CallRow, next: CallRecord['next']): void {
    const state = stateAfter(call, next);
    call.state = state;
    const inMs = next.to === 'jobsUnknown' ? next.askInMs : next.to === 'again' ? next.inMs : 0;
    call.askAt = state === 'unknown' || state === 'again' ? this.#nowMs() + inMs : Infinity;
    if (next.to === 'jobsUnknown') call.jobsSettled = false;
    if (next.to === 'stuck') call.jobsSettled = call.mayRun = true;
    if (next.to === 'settled' && !next.mayRunOn) {
      call.jobsSettled = true;
      call.mayRun = false;
      call.settledAt ??= this.#nowMs();
    }
    if (state === 'closed') this.#rowsOf(call.account).open.delete(call);
  }

  recordContact({ account, call: made, keys, step, expiresInMs, becomes }: ContactRecord): Promise<void> {
    return this.#commit('recordContact', () => {
      const rows = this.#rowsOf(account);
      if (made) {
        const call = this.#lockedCall(made.callId, made.sends);
        if (!call) return;
        this.#answer(
          call,
          becomes.is === 'unknown' ? { to: 'jobsUnknown', askInMs: becomes.askInMs } : { to: 'settled' },
        );
      }
      if (becomes.is === 'unknown') {
        for (const key of keys) {
          const row = rows.contacts.get(key);
          if (row) row.attempts = becomes.attempts;
        }
        return;
      }
      const nowMs = this.#nowMs();
      for (const key of keys)
        saveContact(rows, key, { callId: made?.callId ?? null, step, expiresInMs, becomes, nowMs });
    });
  }

  askedItem(callId: string, index: number, next: AskedNext): Promise<void> {
    return this.#commit('askedItem', () => {
      const item = this.#calls.get(callId)?.items[index];
      if (item?.state !== 'unknown') return;
      if (next.counted) item.asks += 1;
      item.cursor = next.cursor;
      item.askAt = this.#nowMs() + next.inMs;
    });
  }

  askedJobs(
    callIds: readonly string[],
    { settled, suspects, inMs, mayRunOn = false, itemsInMs = 0 }: ListedJobs,
  ): Promise<void> {
    return this.#commit('askedJobs', () => {
      for (const callId of callIds) {
        const call = this.#calls.get(callId);
        if (call?.state !== 'unknown' || call.jobsSettled) continue;
        call.asks += 1;
        call.jobsSettled = settled;
        call.mayRun = !settled && (call.mayRun || mayRunOn);
        if (settled) call.settledAt = this.#nowMs();
        call.suspects ??= suspects;
        call.askAt = this.#nowMs() + inMs;
        if (settled || mayRunOn)
          for (const item of call.items) if (item.state === 'unknown') item.askAt = this.#nowMs() + itemsInMs;
      }
    });
  }

  polled(account: AccountName, jobs: readonly PolledJob[]): Promise<void> {
    return this.#commit('polled', () => this.#reschedule(account, jobs));
  }

  #reschedule(account: AccountName, jobs: readonly PolledJob[]): void {
    for (const { jobId, inMs, missed } of jobs) {
      const job = this.#rowsOf(account).jobs.get(jobId);
      if (!job) continue;
      job.polls += 1;
      job.misses = missed ? job.misses + 1 : 0;
      job.pollAt = this.#nowMs() + inMs;
    }
  }

  async nextDue(account: AccountName): Promise<NextDue> {
    const rows = this.#rowsOf(account);
    const nowMs = this.#nowMs();
    const least = { sent: Infinity, jobList: Infinity, item: Infinity, again: Infinity, contactCall: Infinity };
    for (const call of rows.open) {
      if (call.state === 'sent') least.sent = Math.min(least.sent, call.underWayUntil);
      if (call.state === 'again') least.again = Math.min(least.again, call.askAt);
      if (call.state !== 'unknown') continue;
      if (call.writer === 'contact') least.contactCall = Math.min(least.contactCall, call.askAt);
      if (call.writer === 'batch' && !call.jobsSettled) least.jobList = Math.min(least.jobList, call.askAt);
      if (call.jobsSettled || call.mayRun)
        for (const { state, askAt } of call.items) if (state === 'unknown') least.item = Math.min(least.item, askAt);
    }
    let job = Infinity;
    for (const { pollAt } of rows.jobs.values()) job = Math.min(job, pollAt);
    let lapse = Infinity;
    for (const { command } of rows.lapsing) lapse = Math.min(lapse, command.data.notAfter!);
    const inMs = (at: number): number | null => (at === Infinity ? null : at - nowMs);
    return {
      sentInMs: inMs(least.sent),
      jobInMs: inMs(job),
      jobListInMs: inMs(least.jobList),
      itemInMs: inMs(least.item),
      againInMs: inMs(least.again),
      contactCallInMs: inMs(least.contactCall),
      waitingInMs: inMs(soonestWait(rows, nowMs)),
      lapseInMs: inMs(lapse),
      holds: [...rows.holding].some(mayBeReleased),
    };
  }

  async runningJobs(account: AccountName, limit: number): Promise<RunningJob[]> {
    const nowMs = this.#nowMs();
    return [...this.#rowsOf(account).jobs.values()]
      .sort((a, b) => a.pollAt - b.pollAt)
      .slice(0, limit)
      .map(({ jobId, call, total, polls, misses, pollAt }) => ({
        jobId,
        callId: call.callId,
        sends: call.sends,
        kind: call.kind,
        grantId: call.grantId,
        priority: priorityOfRank(call.priority),
        total,
        polls,
        misses,
        ageMs: nowMs - call.firstSentAt,
        due: pollAt <= nowMs,
      }));
  }

  async itemsOf(callId: string): Promise<StoredItem[]> {
    return (this.#calls.get(callId)?.items ?? []).filter(isOpen).map(storedItem);
  }

  async itemsToAsk(account: AccountName, limit: number, exclude: readonly InteractionId[]): Promise<ItemToAsk[]> {
    const nowMs = this.#nowMs();
    return [...this.#rowsOf(account).open]
      .filter(({ state, jobsSettled, mayRun }) => state === 'unknown' && (jobsSettled || mayRun))
      .flatMap((call) => call.items.map((item) => ({ call, item })))
      .filter(({ item }) => item.state === 'unknown' && item.askAt <= nowMs && !exclude.includes(item.interactionId))
      .sort((a, b) => a.call.priority - b.call.priority || a.item.askAt - b.item.askAt)
      .slice(0, limit)
      .map(({ call, item }) => ({
        callId: call.callId,
        sends: call.sends,
        index: item.index,
        attempts: item.attempts,
        single: call.writer === 'single',
        own: item.own,
        priority: priorityOfRank(call.priority),
        firstSentAgoMs: nowMs - call.firstSentAt,
        interactionId: item.interactionId,
        commandIds: item.commandIds,
        ticketId: item.ticketId,
        followUpOf: item.followUpOf,
        externalId: item.externalId,
        hasComment: item.hasComment,
        asks: item.asks,
        cursor: item.cursor,
        items: call.items.length,
        quietForMs: nowMs - (call.settledAt ?? call.underWayUntil),
        mayStillRun: call.mayRun,
      }));
  }

  async bulksToList(account: AccountName, limit: number): Promise<UnlistedBulk[]> {
    const nowMs = this.#nowMs();
    return [...this.#rowsOf(account).open]
      .filter((call) => call.state === 'unknown' && call.writer === 'batch' && !call.jobsSettled && call.askAt <= nowMs)
      .sort((a, b) => a.askAt - b.askAt)
      .slice(0, limit)
      .map(({ callId, sends, priority, asks, suspects }) => ({
        callId,
        sends,
        priority: priorityOfRank(priority),
        asks,
        suspects,
      }));
  }

  async callsToSendAgain(account: AccountName, limit: number, exclude: readonly string[]): Promise<CallToSendAgain[]> {
    const nowMs = this.#nowMs();
    return [...this.#rowsOf(account).open]
      .filter(({ state, askAt, callId }) => state === 'again' && askAt <= nowMs && !exclude.includes(callId))
      .sort((a, b) => a.priority - b.priority || a.askAt - b.askAt)
      .flatMap((call) => call.items.filter(({ state }) => state === 'unknown').map((item) => ({ call, item })))
      .slice(0, limit)
      .map(({ call, item }) => ({
        callId: call.callId,
        sends: call.sends,
        kind: call.kind,
        priority: priorityOfRank(call.priority),
        request: call.request,
        item: storedItem(item),
      }));
  }

  freeContacts(account: AccountName): Promise<number> {
    return this.#commit('freeContacts', () => {
      const rows = this.#rowsOf(account);
      const over = [...rows.open].filter(
        ({ state, writer, askAt }) => state === 'unknown' && writer === 'contact' && askAt <= this.#nowMs(),
      );
      for (const call of over) {
        call.state = 'closed';
        rows.open.delete(call);
      }
      const callIds = new Set(over.map(({ callId }) => callId));
      if (callIds.size > 0)
        for (const contact of rows.contacts.values())
          if (contact.busyCallId !== null && callIds.has(contact.busyCallId)) contact.busyCallId = null;
      return over.length;
    });
  }

  async holdsToRelease(
    account: AccountName,
    limit: number,
  ): Promise<{ readonly callId: string; readonly holdIds: string[] }[]> {
    return [...this.#rowsOf(account).holding]
      .filter(mayBeReleased)
      .slice(0, limit)
      .map(({ callId, holdIds }) => ({ callId, holdIds: [...holdIds] }));
  }

  holdsReleased(callIds: readonly string[]): Promise<void> {
    return this.#commit('holdsReleased', () => {
      for (const callId of callIds) {
        const call = this.#calls.get(callId);
        if (!call) continue;
        call.holdsReleased = true;
        this.#rowsOf(call.account).holding.delete(call);
      }
    });
  }

  lapse(account: AccountName): Promise<number> {
    return this.#commit('lapse', () => {
      const nowMs = this.#nowMs();
      const late = [...this.#rowsOf(account).lapsing]
        .filter(({ state, command }) => state === 'waiting' && command.data.notAfter! < nowMs)
        .sort((a, b) => a.command.data.notAfter! - b.command.data.notAfter!)
        .slice(0, LAPSE_AT_MOST);
      const reason = { code: 'not_after_passed', text: 'its time had passed while it waited' };
      this.#endUnsent(account, late, 'lapsed', reason);
      return late.length;
    });
  }

  parkForContact(account: AccountName, interactionId: InteractionId, code: string): Promise<void> {
    return this.#commit('parkForContact', () => {
      const writes = this.#rowsOf(account).interactions.get(interactionId)?.writes ?? [];
      const parked = writes.filter(({ command, state }) => command.type === 'ensureTicket' && state === 'waiting');
      this.#endUnsent(account, parked, 'parked', { code, text: 'the CRM refuses to make this contact' });
    });
  }

  countRead(account: AccountName, kind: CallKind): Promise<void> {
    return this.#commit('countRead', () => {
      const { reads } = this.#rowsOf(account);
      reads.set(kind, (reads.get(kind) ?? 0) + 1);
    });
  }

  async counts(account: AccountName): Promise<AccountCounts> {
    const rows = this.#rowsOf(account);
    const states: Record<string, number> = {};
    let oldestWaitingAt: number | null = null;
    for (const { writes, waiting, since } of rows.interactions.values()) {
      for (const { state } of writes) states[state] = (states[state] ?? 0) + 1;
      if (waiting > 0) oldestWaitingAt = Math.min(oldestWaitingAt ?? Infinity, since);
    }
    const callsByKind: Record<string, number> = Object.fromEntries(rows.reads);
    for (const call of this.#calls.values())
      if (call.account === account) callsByKind[call.kind] = (callsByKind[call.kind] ?? 0) + call.sends;
    const writeCalls = TICKET_WRITES.reduce((sum, kind) => sum + (callsByKind[kind] ?? 0), 0);
    const outbox = [...this.outbox.values()].filter((outcome) => outcome.account === account).length;
    return { states, oldestWaitingAt, callsByKind, writeCalls, jobsRunning: rows.jobs.size, outbox };
  }

  async view(account: AccountName, interactionId: InteractionId): Promise<InteractionView | null> {
    const row = this.#rowsOf(account).interactions.get(interactionId);
    if (!row) return null;
    const newest = row.writes.toSorted((a, b) => b.command.data.eventAt - a.command.data.eventAt);
    return {
      interactionId,
      ticketId: row.ticketId,
      followUpOf: row.followUpOf,
      commands: newest
        .slice(0, VIEWED_AT_MOST)
        .sort(inEffectOrder)
        .map(({ command, state, priority, reason, ticketId }) => ({
          commandId: command.id,
          kind: command.type,
          state,
          priority: priorityOfRank(priority),
          reasonCode: reason?.code ?? null,
          ticketId,
        })),
    };
  }

  #endUnsent(
    account: AccountName,
    writes: readonly WriteRow[],
    state: 'lapsed' | 'parked',
    reason: { readonly code: string; readonly text: string },
  ): void {
    const rows = this.#rowsOf(account);
    for (const write of writes) {
      change(write, { state, reason });
      rows.lapsing.delete(write);
      this.#tell(write, state, { writer: null, mergedWith: 0 });
    }
    for (const { interaction } of writes) refresh(rows, interaction);
  }

  #announce(call: CallRow, settled: readonly WriteRow[]): void {
    const mergedWith = call.items.reduce((sum, { commandIds }) => sum + commandIds.length, 0);
    const writer = call.writer === 'batch' ? 'batch' : 'single';
    for (const write of settled)
      if (write.state === 'done' || write.state === 'parked') this.#tell(write, write.state, { writer, mergedWith });
  }

  #tell(
    { command, ticketId, grantId, reason }: WriteRow,
    state: 'done' | 'parked' | 'lapsed',
    { writer, mergedWith }: { readonly writer: 'single' | 'batch' | null; readonly mergedWith: number },
  ): void {
    const { account, traceparent, data } = command;
    const { interactionId, eventAt } = data;
    const outcome = outcomeOf(
      {
        commandId: command.id,
        account,
        interactionId,
        kind: command.type,
        eventAt,
        traceparent,
        state,
        ticketId,
        grantId,
        writer,
        mergedWith,
        reason,
      },
      this.#nowMs(),
    );
    const msgId = `${account}.${outcome.id}`;
    if (!this.outbox.has(msgId)) this.outbox.set(msgId, outcome);
  }

  #rowsOf(account: AccountName): AccountRows {
    let rows = this.#accounts.get(account);
    if (!rows) this.#accounts.set(account, (rows = emptyRows()));
    return rows;
  }

  #nowMs(): number {
    return this.options.clock.nowMs();
  }

  async #commit<T>(method: keyof WriteStore, work: () => T): Promise<T> {
    const { faults, wrote } = this.options;
    const toTell = this.outbox.size;
    if (faults?.beforeCommit) await faults.beforeCommit(method);
    const result = work();
    if (faults?.afterCommit) await faults.afterCommit(method);
    if (this.outbox.size > toTell) wrote?.();
    return result;
  }
}

function emptyRows(): AccountRows {
  const goesBefore = (a: InteractionRow, b: InteractionRow): number =>
    a.priority - b.priority || a.since - b.since || (a.interactionId < b.interactionId ? -1 : 1);
  return {
    interactions: new Map(),
    ofTicket: new Map(),
    ofContact: new Map(),
    creates: new InOrder(goesBefore),
    updates: new InOrder(goesBefore),
    told: new Set(),
    contacts: new Map(),
    contactsTold: new Set(),
    lapsing: new Set(),
    open: new Set(),
    holding: new Set(),
    jobs: new Map(),
    reads: new Map(),
  };
}

function interactionIn(rows: AccountRows, interactionId: InteractionId): InteractionRow {
  let row = rows.interactions.get(interactionId);
  if (!row) {
    row = {
      interactionId,
      writes: [],
      contactKey: null,
      queuePath: null,
      ticketId: null,
      ticketOpen: true,
      followUpOf: null,
      busyCallId: null,
      solo: false,
      mostInJob: null,
      waiting: 0,
      priority: 2,
      since: 0,
      runnable: false,
      notBefore: -Infinity,
    };
    rows.interactions.set(interactionId, row);
  }
  return row;
}

function contactIn(contacts: Map<string, ContactRow>, key: string, step: ContactStep | null): ContactRow {
  let row = contacts.get(key);
  if (!row) {
    row = { userId: null, step, refusedFor: null, busyCallId: null, notBefore: -Infinity, attempts: 0 };
    contacts.set(key, row);
  }
  return row;
}

/** The ticket command first, then by event time, rank and ordinal, then by id. */
function inEffectOrder(a: WriteRow, b: WriteRow): number {
  const [one, other] = [a.command, b.command];
  return (
    Number(other.type === 'ensureTicket') - Number(one.type === 'ensureTicket') ||
    one.data.eventAt - other.data.eventAt ||
    one.data.eventRank - other.data.eventRank ||
    one.data.ordinal - other.data.ordinal ||
    (one.id < other.id ? -1 : 1)
  );
}

/** What was of a dry run and is meant now, or makes the ticket of what is, waits. How many. */
function takeUpRehearsed(command: Command, { writes }: InteractionRow): number {
  const meant = !command.data.dryRun;
  const waits = writes.some(({ state }) => state === 'waiting');
  const taken = writes.filter((write) => {
    if (write.state !== 'rehearsed') return false;
    return (meant && write.command.id === command.id) || (write.command.type === 'ensureTicket' && (meant || waits));
  });
  for (const write of taken) {
    if (meant && write.command.id === command.id) write.command = command;
    change(write, { state: 'waiting' });
  }
  return taken.length;
}

/** Brings what the queue is ordered by into line with the interaction's writes, as the last thing of every change. */
function refresh(rows: AccountRows, row: InteractionRow): void {
  rows.creates.remove(row);
  rows.updates.remove(row);
  rows.told.delete(row);
  const waiting = row.writes.filter(({ state }) => state === 'waiting');
  row.waiting = waiting.length;
  row.priority = waiting.reduce((least, { priority }) => Math.min(least, priority), 2);
  row.since = waiting.length === 0 ? 0 : Math.min(...waiting.map(({ command }) => command.data.eventAt));
  row.solo &&= waiting.length > 0;
  const isStuck = row.writes.some(({ state }) => state === 'parked');
  const hasTicketCommand = row.writes.some(
    ({ command, state }) => command.type === 'ensureTicket' && (state === 'waiting' || state === 'done'),
  );
  row.runnable = waiting.length > 0 && !isStuck && (row.ticketId !== null || hasTicketCommand);
  if (!row.runnable || row.busyCallId !== null) return;
  (row.ticketId === null ? rows.creates : rows.updates).add(row);
  if (row.notBefore > -Infinity) rows.told.add(row);
}

/** What the schema's CHECKs say of a write, said once more. */
function change(write: WriteRow, changed: Partial<WriteRow>): void {
  Object.assign(write, changed);
  const { state, grantId, callId, ticketId, reason } = write;
  const underGrant = (UNDER_A_GRANT as readonly WriteState[]).includes(state);
  if (underGrant && (grantId === null || callId === null)) throw new Error('a write left waiting without a grant');
  if (state === 'waiting' && (grantId !== null || callId !== null)) throw new Error('a waiting write holds a grant');
  if (state === 'done' && ticketId === null) throw new Error('a done write names no ticket');
  if ((state === 'parked' || state === 'lapsed') && reason === null) throw new Error('a parked write says no reason');
}

const isBusy = ({ busyCallId }: InteractionRow): boolean => busyCallId !== null;
const isOpen = ({ state }: ItemRow): boolean => state === 'sent' || state === 'unknown';
const mayBeReleased = ({ state, jobsSettled, mayRun }: CallRow): boolean =>
  state === 'closed' || (jobsSettled && !mayRun);

/** No call is in flight for it, its ticket or (while it has none) its contact, and none of these is excluded. */
function isFree(rows: AccountRows, row: InteractionRow, excluded: ReadonlySet<string>, nowMs: number): boolean {
  const { interactionId, ticketId, contactKey } = row;
  if (excluded.has(interactionId)) return false;
  if (ticketId !== null) {
    if (excluded.has(`ticket:${ticketId}`)) return false;
    return ![...(rows.ofTicket.get(ticketId) ?? [])].some(isBusy);
  }
  if (contactKey === null) return true;
  if (excluded.has(contactKey)) return false;
  for (const other of rows.ofContact.get(contactKey) ?? []) if (isBusy(other)) return false;
  const contact = rows.contacts.get(contactKey);
  if (!contact || contact.userId !== null) return true;
  return contact.busyCallId === null && (contact.step === 'refused' || contact.notBefore <= nowMs);
}

function waitingOf(rows: AccountRows, row: InteractionRow): WaitingInteraction {
  const ticket = row.writes.find(({ command }) => command.type === 'ensureTicket')?.command.data.action;
  const ensure = ticket?.kind === 'ensureTicket' ? ticket : null;
  let bytes = 0;
  const waiting = row.writes
    .filter(({ state }) => state === 'waiting')
    .slice(0, MAX_COMMANDS_PER_ITEM)
    .filter((write, place) => {
      bytes += write.bytes;
      return place === 0 || bytes <= MAX_BYTES_PER_INTERACTION;
    });
  return {
    interactionId: row.interactionId,
    ticketId: row.ticketId,
    followUpOf: row.followUpOf,
    priority: priorityOfRank(row.priority),
    since: row.since,
    solo: row.solo,
    ...(row.mostInJob === null ? {} : { mostInJob: row.mostInJob }),
    ensure: ensure && { subject: ensure.subject, mode: ensure.mode, contact: ensure.contact },
    queuePath: row.queuePath,
    appendTo: row.ticketId === null && ensure?.mode === 'append' ? openTicketOf(rows, row) : null,
    commands: waiting.map(({ command, priority, attempts }) => ({
      commandId: command.id,
      action: command.data.action as CommandAction,
      eventAt: command.data.eventAt,
      eventRank: command.data.eventRank,
      ordinal: command.data.ordinal,
      priority: priorityOfRank(priority),
      attempts,
    })),
  };
}

/** The newest open ticket of the same contact and queue. */
function openTicketOf(rows: AccountRows, row: InteractionRow): number | null {
  if (row.contactKey === null) return null;
  let newest: number | null = null;
  for (const other of rows.ofContact.get(row.contactKey) ?? [])
    if (other.ticketId !== null && other.ticketOpen && other.queuePath === row.queuePath)
      newest = Math.max(newest ?? 0, other.ticketId);
  return newest;
}

function rememberedAt(row: ContactRow, nowMs: number): RememberedContact {
  const { userId, step, refusedFor, busyCallId, notBefore, attempts } = row;
  const isPast = step === 'refused' && notBefore <= nowMs;
  return {
    userId,
    step: isPast ? null : step,
    refusedFor: isPast ? null : refusedFor,
    busy: busyCallId !== null || (step !== null && step !== 'refused' && notBefore > nowMs),
    attempts,
  };
}

/** A contact known under one of its keys becomes known under the others. */
function rememberRequester(rows: AccountRows, { requester, contactKeys }: PlannedItem): void {
  if (requester.by !== 'userId') return;
  for (const key of contactKeys) {
    const row = contactIn(rows.contacts, key, null);
    if (row.userId !== null || row.busyCallId !== null) continue;
    Object.assign(row, { userId: requester.userId, step: null, refusedFor: null });
    rows.contactsTold.delete(row);
  }
}

function itemOf(item: PlannedItem, index: number, writes: readonly WriteRow[]): ItemRow {
  return {
    index,
    interactionId: item.interactionId,
    commandIds: item.commandIds,
    writes,
    ticketId: item.ticketId,
    followUpOf: item.followUpOf,
    externalId: item.externalId,
    hasComment: item.comment !== null,
    attempts: item.attempts,
    state: 'sent',
    own: false,
    asks: 0,
    askAt: -Infinity,
    cursor: null,
  };
}

function storedItem({ index, interactionId, commandIds, attempts, ticketId, externalId }: ItemRow): StoredItem {
  return { index, interactionId, commands: commandIds.length, attempts, ticketId, externalId };
}

/** Takes an item's writes to where its effect leads; back to `waiting` gives up the grant. */
function settleWrites(call: CallRow, { index, effect }: ItemEffectAt): WriteRow[] {
  const settled = call.items[index]!.writes.filter(
    ({ callId, state }) => callId === call.callId && (state === 'sent' || state === 'unknown'),
  );
  const state: WriteState = effect.effect === 'followUp' ? 'waiting' : effect.effect;
  for (const write of settled) {
    const said = 'code' in effect ? effect.code : null;
    change(write, {
      state,
      ...(state === 'waiting' ? { grantId: null, callId: null } : {}),
      ...(effect.effect === 'done' ? { ticketId: effect.ticketId } : {}),
      ...(effect.effect === 'waiting' ? { attempts: effect.attempts } : {}),
      reason: said === null ? null : { code: said, text: effect.effect === 'parked' ? effect.text : '' },
    });
  }
  return settled;
}

function freeInteraction(
  rows: AccountRows,
  row: InteractionRow | undefined,
  {
    callId,
    effect,
    item,
  }: { readonly callId: string; readonly effect: ItemEffectAt['effect']; readonly item: ItemRow },
  nowMs: number,
): void {
  if (row?.busyCallId !== callId) return;
  if (effect.effect !== 'unknown') row.busyCallId = null;
  if (effect.effect === 'followUp') {
    row.followUpOf = item.ticketId;
    giveTicket(rows, row, null);
  }
  if (effect.effect === 'done') {
    if (row.ticketId === null) row.ticketOpen = true;
    giveTicket(rows, row, effect.ticketId);
  }
  if (effect.effect === 'waiting') row.solo ||= effect.solo;
  if (effect.effect === 'done') row.mostInJob = null;
  else if (effect.effect === 'waiting') row.mostInJob = effect.mostInJob ?? row.mostInJob;
  row.notBefore = effect.effect === 'waiting' && effect.inMs > 0 ? nowMs + effect.inMs : -Infinity;
}

function giveTicket(rows: AccountRows, row: InteractionRow, ticketId: number | null): void {
  if (row.ticketId !== null) rows.ofTicket.get(row.ticketId)?.delete(row);
  row.ticketId = ticketId;
  if (ticketId !== null) addTo(rows.ofTicket, ticketId, row);
}

/** Nothing is appended any more to a ticket that the CRM says is closed for good. */
function closeTicket(rows: AccountRows, ticketId: number | null): void {
  if (ticketId !== null) for (const row of rows.ofTicket.get(ticketId) ?? []) row.ticketOpen = false;
}

function endJob(rows: AccountRows, call: CallRow): void {
  for (const [jobId, job] of rows.jobs) if (job.call === call) rows.jobs.delete(jobId);
}

function stateAfter(call: CallRow, next: CallRecord['next']): CallRow['state'] {
  switch (next.to) {
    case 'settled':
      return call.items.some(isOpen) || (next.mayRunOn && call.mayRun) ? 'unknown' : 'closed';
    case 'jobsUnknown':
    case 'stuck':
      return 'unknown';
    case 'job':
    case 'again':
      return next.to;
    default:
      return next satisfies never;
  }
}

/** A known user is never forgotten, and an answer that comes late changes nothing where another call holds the contact. */
function saveContact(
  rows: AccountRows,
  key: string,
  saved: Pick<ContactRecord, 'step' | 'expiresInMs'> & {
    readonly callId: string | null;
    readonly becomes: Exclude<ContactRecord['becomes'], { is: 'unknown' }>;
    readonly nowMs: number;
  },
): void {
  const { becomes, nowMs, expiresInMs } = saved;
  const known = rows.contacts.get(key);
  if (known) {
    const isSameStep =
      becomes.is === 'known' || known.step === saved.step || (known.step === 'refused' && known.notBefore <= nowMs);
    if (known.userId !== null || known.busyCallId !== saved.callId || !isSameStep) return;
  }
  const row = known ?? contactIn(rows.contacts, key, null);
  row.busyCallId = null;
  row.userId = becomes.is === 'known' ? becomes.userId : null;
  row.step = becomes.is === 'known' ? null : becomes.is === 'step' ? becomes.step : 'refused';
  row.refusedFor = becomes.is === 'refused' ? becomes.code : null;
  row.notBefore = nowMs + (becomes.is === 'step' ? becomes.inMs : becomes.is === 'refused' ? expiresInMs : 0);
  row.attempts = becomes.is === 'step' ? becomes.attempts : 0;
  if (row.userId === null && row.notBefore > nowMs) rows.contactsTold.add(row);
  else rows.contactsTold.delete(row);
}

/** When the next interaction or contact has waited long enough; what is past is struck off the lists. */
function soonestWait({ told, contactsTold, creates, updates }: AccountRows, nowMs: number): number {
  let soonest = Infinity;
  for (const row of told) {
    if (row.notBefore <= nowMs || !(creates.has(row) || updates.has(row))) told.delete(row);
    else soonest = Math.min(soonest, row.notBefore);
  }
  for (const row of contactsTold) {
    if (row.notBefore <= nowMs || row.userId !== null) contactsTold.delete(row);
    else soonest = Math.min(soonest, row.notBefore);
  }
  return soonest;
}

function addTo<K, V>(sets: Map<K, Set<V>>, key: K, value: V): void {
  const set = sets.get(key);
  if (set) set.add(value);
  else sets.set(key, new Set([value]));
}
