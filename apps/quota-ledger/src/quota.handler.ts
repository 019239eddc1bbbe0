import type {
  AccountName,
  AcquireAnswer,
  AcquireRequest,
  CancelAnswer,
  CancelRequest,
  HoldAnswer,
  HoldRequest,
  IntegrationName,
  ObserveAnswer,
  ObserveRequest,
  Rejected,
  ReleaseAnswer,
  ReleaseRequest,
  SettleAnswer,
  SettleRequest,
  Unavailable,
} from '#contracts';
import type { Clock } from '#clock';
import type { Log } from '#telemetry';
import { acquire } from './domain/acquire.js';
import { type AccountBooks, findGrant, forgetPast, requestKey } from './domain/books.js';
import { cancel } from './domain/cancel.js';
import { expire, nextExpiryAt } from './domain/expire.js';
import { hold } from './domain/hold.js';
import { LedgerChanges, WHOLE_ACCOUNT } from './domain/ledger-changes.js';
import { observe } from './domain/observe.js';
import { type AppliedEntry, rebuild } from './domain/replay.js';
import { release } from './domain/release.js';
import { nextWakeAt, serveWaiting } from './domain/serve-waiting.js';
import { settle } from './domain/settle.js';
import { booksOf, type MinuteCharge, newLimits, snapshotOf, withVersion } from './domain/snapshot.js';
import { sumUsage, type UsageRowCounts } from './domain/usage.js';
import { LedgerClock } from './ledger-clock.js';
import { countTurn } from './ledger.metrics.js';
import type { LedgerStore, StoredBooks, StoredVersion, TurnToRecord, UsageToStore } from './ledger.store.js';
import { partitionOf } from './domain/partition.js';

/** Who asks; from the subject, which the server's permissions guard. */
export interface Asker {
  readonly account: AccountName;
  readonly integration: IntegrationName;
}

export type QuotaRequest =
  | { readonly verb: 'acquire'; readonly body: AcquireRequest }
  | { readonly verb: 'settle'; readonly body: SettleRequest }
  | { readonly verb: 'cancel'; readonly body: CancelRequest }
  | { readonly verb: 'hold'; readonly body: HoldRequest }
  | { readonly verb: 'release'; readonly body: ReleaseRequest }
  | { readonly verb: 'observe'; readonly body: ObserveRequest };

export type QuotaAnswer = AcquireAnswer | SettleAnswer | CancelAnswer | HoldAnswer | ReleaseAnswer | ObserveAnswer;

/** Most requests decided and committed together. */
const MAX_REQUESTS_PER_TURN = 512;
/** Most requests waiting to be decided; beyond it they are told to come again. */
const MAX_REQUESTS_UNDECIDED = 10_000;
/** Most requests waiting in the ledger for calls (`waitMs`), of all accounts. */
const MAX_REQUESTS_WAITING = 20_000;
/** A request whose turn failed this often is given up: what is wrong is the request. */
const MAX_TURNS_PER_REQUEST = 3;
/** How often usage is read again where it was stored anew meanwhile. */
const MAX_USAGE_READS = 5;
/** More than the minutes of 31 days, the longest limit there may be, for a few integrations. */
const MAX_MINUTES_CHARGED = 500_000;
const MINUTES_PER_HOUR = 60;
/** Nobody is fenced who asked the database anything this short a time ago; below the owner's `STALLED_MS`. */
const OWNERSHIP_PROVEN_MS = 3_000;

type Asked = Asker &
  QuotaRequest & {
    readonly arrivedAtMs: number;
    readonly reply: (answer: QuotaAnswer) => void;
    turns: number;
    /** How often deciding it, or something while it waited, threw. */
    failures: number;
    /** It waited in books that are no more. */
    readonly waited: boolean;
  };

interface Partition {
  readonly id: number;
  readonly epoch: number;
  /** The journal's last turn. */
  seq: number;
  /** Accounts whose books changed since their last snapshot. */
  readonly changed: Set<AccountName>;
}

interface Kept {
  readonly partition: Partition;
  books: AccountBooks;
}

/** What was decided together: to be recorded, then answered. */
interface Turn {
  readonly asked: readonly Asked[];
  readonly answers: { readonly asked: Asked; readonly answer: QuotaAnswer }[];
  readonly records: TurnToRecord[];
  readonly begunAtMs: number;
  /** What deciding threw: then the books may be changed by half of it, and nothing of it is recorded. */
  failure: { readonly error: unknown } | null;
  /** The request being decided; null while those are served who wait. */
  deciding: Asked | null;
}

/** Another process decides, or none does at the moment. */
export class NotTheOwner extends Error {
  readonly code = 'unavailable';
  constructor() {
    super('this process does not own the ledger');
    this.name = 'NotTheOwner';
  }
}

/**
 * The one place where quota is decided. Requests that arrive while a turn is being recorded are decided together in the next
 * one, and recorded by one commit; answers leave after it. Deciding needs no look at the tables: the books are all there is to
 * know, and the journal is what they are built from again. A turn that failed, or may have, costs the books: they are
 * rebuilt, and its requests decided again, which finds what did take effect by their ids.
 */
export class QuotaHandler {
  private store: LedgerStore | null = null;
  private readonly partitions = new Map<number, Partition>();
  private readonly kept = new Map<AccountName, Kept>();
  /** Of all accounts; null before they are known. */
  private versions: ReadonlyMap<AccountName, readonly StoredVersion[]> | null = null;
  private undecided: Asked[] = [];
  /** Requests that wait for calls, by account and `requestKey`: several where one was repeated. */
  private readonly waiting = new Map<AccountName, Map<string, Asked[]>>();
  private waitingRequests = 0;
  /** When an account's waiting requests are to be looked at, epoch ms. */
  private readonly wakeAt = new Map<AccountName, number>();
  private alarm: { readonly at: number; readonly stop: AbortController } | null = null;
  private alarmRang = false;
  private errands: (() => Promise<void>)[] = [];
  private turning: Promise<void> | null = null;
  private expiryDue = false;
  /** While it is so, requests are kept for the books to come. */
  private rebuilding = false;
  /** Of checkpoints the last one asked for: one after the other. */
  private checkpointing: Promise<void> = Promise.resolve();
  /** The one under way: resolves when it is over, however it ended. */
  private storing: Promise<void> = Promise.resolve();
  /** The books count usage no longer that was to be stored, and may not have been. */
  private usageLost = false;
  private checkpoints = 0;
  /** When the session was last asked anything that it answered. */
  private provenMonoMs = 0;
  private grantsMade = 0;
  private grantIdPrefix = '';
  private readonly time: LedgerClock;

  constructor(
    private readonly clock: Clock,
    private readonly log: Log,
  ) {
    this.time = new LedgerClock(clock);
  }

  /** From now on decides on these tables, for the partitions that are adopted. */
  begin(store: LedgerStore, nowMs: number, askedMonoMs: number): void {
    this.store = store;
    this.noteClock(nowMs, askedMonoMs);
  }

  /** No longer an owner: what waits is told to ask again. Resolves when the turn under way is over. */
  async end(): Promise<void> {
    this.store = null;
    this.versions = null;
    await this.turning;
    this.forgetAll();
    for (const errand of this.errands.splice(0)) await errand();
  }

  /** Takes a partition over: builds its books, and decides for its accounts until it is dropped. */
  adopt(partition: number, epoch: number): Promise<void> {
    return this.between(async (store) => {
      if (this.partitions.size === 0) {
        this.grantsMade = 0;
        this.grantIdPrefix = `g${partition.toString(36)}.${epoch.toString(36)}-${this.time.nowMs().toString(36)}`;
      }
      await this.load(store, { id: partition, epoch, seq: 0, changed: new Set() });
    });
  }

  /** Decides for a partition no longer, after storing all that makes its next owner's beginning quick. */
  async drop(partition: number): Promise<void> {
    await this.checkpoint(partition, true).catch((error: unknown) =>
      this.log.warn('a partition is given back without a last checkpoint', { partition, error }),
    );
    await this.between(async () => {
      this.partitions.delete(partition);
      for (const [account, kept] of this.kept) if (kept.partition.id === partition) this.forget(account);
    });
  }

  /** The accounts that this process decides for. */
  accounts(): AccountName[] {
    return [...this.kept.keys()];
  }

  /** The partitions that this process owns. */
  owned(): number[] {
    return [...this.partitions.keys()];
  }

  /** All versions of accounts there are, whoever decides for them; those of this process's own are taken over. */
  async useVersions(versions: ReadonlyMap<AccountName, readonly StoredVersion[]>): Promise<void> {
    this.versions = versions;
    const behind = [...versions].filter(([account, all]) => {
      if (!this.partitions.has(partitionOf(account))) return false;
      return this.kept.get(account)?.books.version !== all.at(-1)!.version;
    });
    if (behind.length === 0) return;
    await this.between(async (store) => {
      try {
        // New limits are charged with what is stored and what is to be: not with what is on its way.
        await this.storing;
        if (this.usageLost) await this.rebuildAll();
        else for (const [account] of behind) await this.takeVersion(store, account);
      } catch (error) {
        // What is stored is in force: no books of before go on.
        this.log.warn('new versions of accounts could not be taken over; the books are rebuilt', { error });
        await this.rebuildAll();
        throw error;
      }
    });
  }

  /** The database's clock, as the session that owns told it when it was asked then. */
  noteClock(nowMs: number, askedMonoMs: number): void {
    this.provenMonoMs = Math.max(this.provenMonoMs, askedMonoMs);
    this.time.note(nowMs, askedMonoMs);
  }

  /** Decides a request in the next turn. Resolves after what was decided is durable. */
  ask(asker: Asker, request: QuotaRequest): Promise<QuotaAnswer> {
    if (!this.kept.has(asker.account) && !this.rebuilding) return Promise.resolve(this.noBooks(asker.account));
    if (this.undecided.length >= MAX_REQUESTS_UNDECIDED) return Promise.resolve(OVERLOADED);
    return new Promise((reply) => {
      const { account, integration } = asker;
      const arrivedAtMs = this.clock.monotonicMs();
      const { verb, body } = request;
      const asked = { account, integration, verb, body, arrivedAtMs, reply, turns: 0, failures: 0, waited: false };
      this.undecided.push(asked as Asked);
      this.turn();
    });
  }

  /** Runs something between turns, while nothing is decided. Rejects where this process owns nothing. */
  between<T>(errand: (store: LedgerStore) => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.errands.push(async () => {
        const { store } = this;
        if (store) await errand(store).then(resolve, reject);
        else reject(new NotTheOwner());
      });
      if (this.store) this.turn();
      else void this.errands.pop()?.();
    });
  }

  /** What to say of an account that has no books here: there is none, or nobody here can tell. */
  noBooks(account: AccountName): Rejected | Unavailable {
    return this.store !== null && this.versions !== null && !this.versions.has(account)
      ? { answer: 'rejected', code: 'unknown_account', message: `the ledger has no account ${account}` }
      : UNAVAILABLE;
  }

  /** The books of an account, for reading between turns; null where this process decides for no such account. */
  booksOf(account: AccountName): AccountBooks | null {
    return this.kept.get(account)?.books ?? null;
  }

  /** The ledger's clock. Never runs backwards. */
  nowMs(): number {
    return this.time.nowMs();
  }

  /** An account's usage: what is stored, and what isn't yet. */
  async usage(
    account: AccountName,
    read: (store: LedgerStore) => Promise<UsageRowCounts[]>,
    bucketOf: (startsAt: number) => number,
    wanted: (row: UsageRowCounts) => boolean,
  ): Promise<UsageRowCounts[]> {
    for (let tries = 0; tries < MAX_USAGE_READS; tries += 1) {
      await this.checkpointing;
      const { store, checkpoints } = this;
      if (!store) throw new NotTheOwner();
      const stored = await read(store);
      // What was stored meanwhile is in neither or in both.
      if (checkpoints !== this.checkpoints) continue;
      const pending = this.kept.get(account)?.books.usage.rows() ?? [];
      return sumUsage([...stored, ...pending.filter(wanted)], bucketOf);
    }
    throw new Error('usage could not be read between two checkpoints');
  }

  /**
   * Stores what a partition's accounts used since the last time and, where wanted, their books. Nothing is decided while it is
   * taken together; storing it holds no turn up.
   */
  async checkpoint(id: number, withSnapshots: boolean): Promise<void> {
    const mine = this.checkpointing.then(() => this.storeCheckpoint(id, withSnapshots));
    this.checkpointing = mine.catch(() => undefined);
    await mine;
  }

  private async storeCheckpoint(id: number, withSnapshots: boolean): Promise<void> {
    await this.between(async (store) => {
      const partition = this.partitions.get(id);
      if (!partition) return;
      const ours = [...this.kept.values()].filter((kept) => kept.partition === partition).map(({ books }) => books);
      const usage = ours.flatMap(usageToStore);
      const changed = ours.filter(({ name }) => partition.changed.has(name));
      if (withSnapshots) for (const books of changed) forgetPast(books, this.time.nowMs());
      const snapshots = withSnapshots ? changed.map(storedBooks) : null;
      if (usage.length === 0 && (snapshots === null || snapshots.length === 0)) return;
      if (withSnapshots) partition.changed.clear();
      this.checkpoints += 1;
      const { epoch, seq } = partition;
      this.storing = store.checkpoint({ partition: id, epoch, seq, usage, snapshots }).catch((error: unknown) => {
        this.log.warn('a checkpoint failed; the books are rebuilt', { partition: id, error });
        this.usageLost = true;
      });
    });
    await this.storing;
    // Whether it was stored can't be told: the books are built from what was.
    const rebuild = (): Promise<void> => (this.usageLost ? this.rebuildAll() : Promise.resolve());
    if (this.usageLost) await this.between(rebuild).catch(() => undefined);
  }

  /** Has a turn expire what nobody settled, if anything is due; drops counters of windows that are over. */
  expireDue(): void {
    const nowMs = this.time.nowMs();
    for (const { books } of this.kept.values()) {
      forgetPast(books, nowMs);
      if ((nextExpiryAt(books) ?? Number.MAX_SAFE_INTEGER) <= nowMs) this.expiryDue = true;
    }
    if (this.expiryDue) this.turn();
  }

  /**
   * Drops the books, which may no longer say what the journal does, and rebuilds them. Where that fails too, this process
   * gives everything up. Call it between turns.
   */
  async rebuildAll(): Promise<void> {
    // Built while usage is on its way to the tables, books would count it once more.
    await this.storing;
    this.usageLost = false;
    const { store } = this;
    const partitions = [...this.partitions.values()];
    const again = this.forgetAll();
    if (!store) return;
    this.rebuilding = true;
    try {
      for (const { id, epoch } of partitions) await this.load(store, { id, epoch, seq: 0, changed: new Set() });
      this.undecided = [...again, ...this.undecided];
    } catch (error) {
      // Without books nothing can be decided: the owner gives up, and begins again as one among equals.
      this.log.error('the books could not be rebuilt', { error });
      this.store = null;
      for (const asked of [...again, ...this.undecided.splice(0)]) asked.reply(UNAVAILABLE);
      await store.close().catch(() => undefined);
    } finally {
      this.rebuilding = false;
    }
  }

  private turn(): void {
    this.turning ??= this.turns().finally(() => {
      this.turning = null;
      if (this.hasWork()) this.turn();
    });
  }

  private hasWork(): boolean {
    return this.store !== null && (this.errands.length > 0 || this.hasToDecide());
  }

  private hasToDecide(): boolean {
    return this.undecided.length > 0 || this.expiryDue || this.alarmRang;
  }

  private async turns(): Promise<void> {
    while (this.hasWork()) {
      // One breath: what arrived with the same read of the socket is decided in the same turn.
      await new Promise((resolve) => setImmediate(resolve));
      const errand = this.errands.shift();
      if (errand) await errand();
      else await this.turnAfterTurn();
    }
  }

  /** Decide, record, announce; the next turn is decided, and on its way to the disk, before this one's answers are spelled. */
  private async turnAfterTurn(): Promise<void> {
    let turn = this.decideTurn();
    let recorded = this.record(turn);
    for (;;) {
      try {
        await recorded;
      } catch (error) {
        await this.afterFailure(turn, error);
        return;
      }
      const done = turn;
      const more = this.store !== null && this.errands.length === 0 && this.hasToDecide();
      if (more) {
        turn = this.decideTurn();
        recorded = this.record(turn);
      }
      for (const { asked, answer } of done.answers) asked.reply(answer);
      countTurn(done.answers, this.clock.monotonicMs() - done.begunAtMs);
      if (!more) return;
    }
  }

  private async record({ records, failure }: Turn): Promise<void> {
    const { store } = this;
    if (failure) throw failure.error;
    const askedMonoMs = this.clock.monotonicMs();
    // What changes nothing needs no commit; but who stood still may have lost its partitions without knowing.
    if (records.length === 0 && askedMonoMs - this.provenMonoMs <= OWNERSHIP_PROVEN_MS) return;
    if (!store) throw new NotTheOwner();
    this.noteClock(await (records.length === 0 ? store.readClock() : store.record(records)), askedMonoMs);
  }

  private decideTurn(): Turn {
    const asked = this.takeBatch();
    const nowMs = this.time.nowMs();
    const turn: Turn = {
      asked,
      answers: [],
      records: [],
      begunAtMs: this.clock.monotonicMs(),
      failure: null,
      deciding: null,
    };
    try {
      this.decideAll(turn, nowMs);
    } catch (error) {
      turn.failure = { error };
    }
    return turn;
  }

  private decideAll(turn: Turn, nowMs: number): void {
    const { asked, begunAtMs } = turn;
    const changes = new Map<Partition, LedgerChanges>();
    const changesOf = (partition: Partition): LedgerChanges => {
      let known = changes.get(partition);
      if (!known) changes.set(partition, (known = new LedgerChanges()));
      return known;
    };
    if (this.expiryDue) {
      this.expiryDue = false;
      for (const { books, partition } of this.kept.values()) expire(books, nowMs, changesOf(partition));
    }
    const touched = new Set<Kept>();
    for (const one of asked) {
      const kept = this.kept.get(one.account);
      if (!kept) {
        turn.answers.push({ asked: one, answer: this.noBooks(one.account) });
        continue;
      }
      turn.deciding = one;
      const answer = this.decide(kept.books, one, { nowMs, begunAtMs }, changesOf(kept.partition));
      if (answer !== 'waits')
        turn.answers.push({
          asked: one,
          answer: one.waited ? sinceItArrived(answer, begunAtMs - one.arrivedAtMs) : answer,
        });
      // Repeated too often: it waits already, and need not be answered twenty thousand times.
      else if (this.waitingRequests >= MAX_REQUESTS_WAITING) turn.answers.push({ asked: one, answer: OVERLOADED });
      else this.wait(one);
      if (this.waiting.size > 0 && this.waiting.has(one.account)) touched.add(kept);
    }
    turn.deciding = null;
    this.serve(turn, touched, nowMs, changesOf);
    for (const [partition, { events }] of changes) {
      if (events.length === 0) continue;
      partition.seq += 1;
      const { id, epoch, seq } = partition;
      turn.records.push({ partition: id, epoch, seq, atMs: nowMs, events });
      for (const { account } of events) partition.changed.add(account);
    }
  }

  private decide(
    books: AccountBooks,
    asked: Asked,
    { nowMs, begunAtMs }: { readonly nowMs: number; readonly begunAtMs: number },
    changes: LedgerChanges,
  ): QuotaAnswer | 'waits' {
    const { integration } = asked;
    const moment = { nowMs, newId: this.newGrantId };
    const heldMs = Math.max(0, begunAtMs - asked.arrivedAtMs);
    switch (asked.verb) {
      case 'acquire':
        return acquire(books, integration, this.mayWait(asked.body, heldMs), moment, changes);
      case 'settle': {
        const grant = findGrant(books, asked.body.grantId);
        return settle(books, integration, grant, asked.body, { nowMs, heldMs }, changes);
      }
      case 'cancel':
        return cancel(books, integration, asked.body, nowMs);
      case 'hold':
        return hold(books, integration, asked.body, moment, changes);
      case 'release':
        return release(books, integration, asked.body, changes);
      case 'observe': {
        const grant = asked.body.grantId === null ? null : findGrant(books, asked.body.grantId);
        return observe(books, integration, grant, asked.body, { nowMs, heldMs }, changes);
      }
      default:
        throw new Error(`unknown request ${String(asked satisfies never)}`);
    }
  }

  /**
   * It waits from when it arrived, however often it is decided. Where too many wait already, nobody else does: the answer is
   * what it would be without waiting.
   */
  private mayWait(body: AcquireRequest, heldMs: number): AcquireRequest {
    if (body.waitMs === 0) return body;
    const waitMs = this.waitingRequests >= MAX_REQUESTS_WAITING ? 0 : Math.floor(body.waitMs - heldMs);
    return { ...body, waitMs: Math.max(0, waitMs) };
  }

  private wait(asked: Asked): void {
    if (asked.verb !== 'acquire') return;
    let ofAccount = this.waiting.get(asked.account);
    if (!ofAccount) this.waiting.set(asked.account, (ofAccount = new Map()));
    const key = requestKey(asked.integration, asked.body.requestId);
    const again = ofAccount.get(key);
    if (again) again.push(asked);
    else ofAccount.set(key, [asked]);
    this.waitingRequests += 1;
  }

  /** Those who asked with this request and wait no longer. */
  private waited(account: AccountName, integration: IntegrationName, requestId: string): readonly Asked[] {
    const ofAccount = this.waiting.get(account);
    const key = requestKey(integration, requestId);
    const asked = ofAccount?.get(key) ?? [];
    ofAccount?.delete(key);
    if (ofAccount?.size === 0) this.waiting.delete(account);
    this.waitingRequests -= asked.length;
    return asked;
  }

  /** Grants what waits as far as it fits now, and refuses what has waited long enough. */
  private serve(
    turn: Turn,
    touched: ReadonlySet<Kept>,
    nowMs: number,
    changesOf: (partition: Partition) => LedgerChanges,
  ): void {
    const rang = this.alarmRang;
    this.alarmRang = false;
    if (this.waiting.size === 0) return;
    const due = new Set(touched);
    if (rang)
      for (const [account, at] of this.wakeAt) {
        const kept = at <= nowMs ? this.kept.get(account) : undefined;
        if (kept) due.add(kept);
      }
    for (const { books, partition } of due) {
      const served = serveWaiting(books, { nowMs, newId: this.newGrantId }, changesOf(partition));
      for (const { integration, requestId, answer } of served)
        for (const asked of this.waited(books.name, integration, requestId))
          turn.answers.push({ asked, answer: sinceItArrived(answer, turn.begunAtMs - asked.arrivedAtMs) });
      const at = this.waiting.has(books.name) ? nextWakeAt(books, nowMs) : null;
      if (at === null) this.wakeAt.delete(books.name);
      else this.wakeAt.set(books.name, Math.max(at, nowMs + 1));
    }
    this.setAlarm(nowMs);
  }

  /** One sleep, until the first account's waiting requests are to be looked at. */
  private setAlarm(nowMs: number): void {
    const at = Math.min(...this.wakeAt.values());
    if (this.alarm?.at === at) return;
    this.alarm?.stop.abort();
    this.alarm = null;
    if (!Number.isFinite(at)) return;
    const stop = new AbortController();
    this.alarm = { at, stop };
    void this.clock.sleep(at - nowMs, stop.signal).then(
      () => {
        this.alarm = null;
        this.alarmRang = true;
        this.turn();
      },
      () => undefined,
    );
  }

  /** What failed before is tried alone, so that one bad request can't spoil its neighbours for ever. */
  private takeBatch(): Asked[] {
    const alone = this.undecided[0] !== undefined && this.undecided[0].turns > 0;
    const batch = this.undecided.splice(0, alone ? 1 : MAX_REQUESTS_PER_TURN);
    for (const asked of batch) asked.turns += 1;
    return batch;
  }

  private async afterFailure(turn: Turn, error: unknown): Promise<void> {
    this.log.warn('a turn failed; its books are rebuilt', { requests: turn.asked.length, error });
    if (turn.failure && !turn.deciding)
      for (const [account, waiting] of this.waiting) this.countFailure(account, waiting);
    const wait = new Set([...this.waiting.values()].flatMap((ofAccount) => [...ofAccount.values()].flat()));
    const left = new Set([...turn.answers.map(({ asked }) => asked), ...turn.asked].filter((one) => !wait.has(one)));
    const again = [...left].filter(({ turns }) => turns < MAX_TURNS_PER_REQUEST);
    for (const asked of left) if (asked.turns >= MAX_TURNS_PER_REQUEST) asked.reply(INTERNAL_ERROR);
    this.undecided = [...again, ...this.undecided];
    await this.rebuildAll();
  }

  /** Which of those who wait it was can't be told: they too are tried only so often. */
  private countFailure(account: AccountName, waiting: ReadonlyMap<string, readonly Asked[]>): void {
    for (const asked of [...waiting.values()].flat()) asked.failures += 1;
    for (const [key, asked] of waiting) {
      if (!asked.some(({ failures }) => failures >= MAX_TURNS_PER_REQUEST)) continue;
      this.waiting.get(account)?.delete(key);
      this.waitingRequests -= asked.length;
      for (const one of asked) one.reply(INTERNAL_ERROR);
    }
  }

  /** Forgets all books; those who waited in them are to be asked for again. */
  private forgetAll(): Asked[] {
    const again: Asked[] = [];
    for (const account of this.kept.keys()) again.push(...this.forget(account, true));
    this.partitions.clear();
    if (this.store) return again;
    for (const asked of [...again, ...this.undecided.splice(0)]) asked.reply(UNAVAILABLE);
    return [];
  }

  private forget(account: AccountName, keepWaiting = false): Asked[] {
    this.kept.delete(account);
    const waited = this.takeWaiting(account);
    if (!keepWaiting) for (const asked of waited) asked.reply(UNAVAILABLE);
    return waited;
  }

  /** Those who wait for calls of an account, to be asked for again. */
  private takeWaiting(account: AccountName): Asked[] {
    const waited = [...(this.waiting.get(account)?.values() ?? [])].flat();
    this.waiting.delete(account);
    this.waitingRequests -= waited.length;
    if (this.wakeAt.delete(account)) this.setAlarm(this.time.nowMs());
    return waited.map((asked) => ({ ...asked, turns: asked.failures, waited: true }));
  }

  private async load(store: LedgerStore, partition: Partition): Promise<void> {
    const ours = new Map([...(this.versions ?? [])].filter(([account]) => partitionOf(account) === partition.id));
    const askedMonoMs = this.clock.monotonicMs();
    const loaded = await store.load(partition.id, ours);
    // A turn decided by a clock that was set since is never recorded: the next one is to know better.
    this.noteClock(loaded.nowMs, askedMonoMs);
    partition.seq = loaded.lastSeq;
    this.time.notBefore(loaded.turns.at(-1)?.atMs ?? 0);
    this.partitions.set(partition.id, partition);
    for (const books of rebuild(loaded)) {
      this.kept.set(books.name, { partition, books });
      // The next owner is to begin where this one does.
      partition.changed.add(books.name);
    }
    for (const account of ours.keys()) await this.takeVersion(store, account);
  }

  /** Takes an account's newest version over, and tells of it. Call it between turns. */
  private async takeVersion(store: LedgerStore, account: AccountName): Promise<void> {
    const versions = this.versions?.get(account) ?? [];
    const partition = this.partitions.get(partitionOf(account));
    const newest = versions.at(-1);
    const before = this.kept.get(account)?.books ?? null;
    if (!newest || !partition || before?.version === newest.version) return;
    const atMs = this.time.nowMs();
    const charges = before ? await chargesOfNew(store, before, versions, atMs) : [];
    const changes = new LedgerChanges();
    const entry: AppliedEntry = { version: newest.version, origin: newest.origin, charges };
    changes.event(account, WHOLE_ACCOUNT, 'applied', entry);
    const { id, epoch, seq } = partition;
    await store.record([{ partition: id, epoch, seq: seq + 1, atMs, events: changes.events }]);
    partition.seq += 1;
    partition.changed.add(account);
    if (before) forgetPast(before, atMs);
    const books = before ? withVersion(before, versions, charges) : booksOf(versions, null);
    this.kept.set(account, { partition, books });
    // They wait by the new version from now on.
    this.undecided.unshift(...this.takeWaiting(account));
  }

  /** Never given before: the epoch is this owner's alone, and its beginning tells it from one that a restored backup repeats. */
  private readonly newGrantId = (): string => {
    this.grantsMade += 1;
    return `${this.grantIdPrefix}-${this.grantsMade.toString(36)}`;
  };
}

/** Who waited counts a grant's times from when it asked: what it waited is in them. */
function sinceItArrived<Answer extends QuotaAnswer>(answer: Answer, waitedMs: number): Answer {
  if (answer.answer !== 'granted') return answer;
  const { validForMs, settleWithinMs } = answer;
  const moreMs = Math.floor(Math.max(0, waitedMs));
  return { ...answer, validForMs: validForMs + moreMs, settleWithinMs: settleWithinMs + moreMs };
}

/** What was counted of a limit's window before the account had that limit: all calls, of whatever kind, as it errs on the safe side. */
async function chargesOfNew(
  store: LedgerStore,
  books: AccountBooks,
  versions: readonly StoredVersion[],
  nowMs: number,
): Promise<MinuteCharge[]> {
  const charges: MinuteCharge[] = [];
  for (const { limit } of newLimits(books, versions)) {
    if (limit.scope !== 'account' && limit.scope !== 'endpoint') continue;
    const fromMs = nowMs - limit.lengthMs - limit.edgeMs - books.timing.minuteMs;
    const span = { account: books.name, per: 'minute', integration: null, fromMs, toMs: nowMs + 1 } as const;
    const stored = await store.usage({ ...span, limitRows: MAX_MINUTES_CHARGED });
    const pending = books.usage.rows().filter(({ startsAt }) => startsAt >= fromMs);
    for (const { integration, startsAt, used, expired } of sumUsage([...stored, ...pending]))
      if (used + expired > 0) charges.push([limit.name, integration, startsAt, used + expired]);
  }
  return charges;
}

function storedBooks(books: AccountBooks): StoredBooks {
  return { account: books.name, books: JSON.stringify(snapshotOf(books)) };
}

function usageToStore(books: AccountBooks): UsageToStore[] {
  const { timing, name: account } = books;
  const hourMs = timing.minuteMs * MINUTES_PER_HOUR;
  return books.usage.take().map((row) => ({
    ...row,
    account,
    hour: Math.floor(row.startsAt / hourMs) * hourMs,
    day: timing.dayStartAt(row.startsAt),
  }));
}

const ASK_AGAIN_MS = 250;
const ASK_AGAIN_AFTER_ERROR_MS = 5_000;

/** Nothing is decided, or it can't be told what was: the same request, asked again, finds out. */
export const UNAVAILABLE: Unavailable = {
  answer: 'unavailable',
  code: 'unavailable',
  message: 'this process does not decide for the account at the moment; ask again with the same requestId',
  retryInMs: ASK_AGAIN_MS,
};
const OVERLOADED: Unavailable = {
  answer: 'unavailable',
  code: 'overloaded',
  message: 'too many requests wait already; ask again with the same requestId',
  retryInMs: ASK_AGAIN_MS,
};
const INTERNAL_ERROR: Unavailable = {
  answer: 'unavailable',
  code: 'internal_error',
  message: 'the request could not be decided, several times; it is logged',
  retryInMs: ASK_AGAIN_AFTER_ERROR_MS,
};
