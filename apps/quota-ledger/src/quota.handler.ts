import type {
  AccountName,
  AcquireAnswer,
  AcquireRequest,
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
import { type AccountBooks, forgetPast, requestKey } from './domain/books.js';
import { expire, nextExpiryAt } from './domain/expire.js';
import type { Grant } from './domain/grant.js';
import { LedgerChanges } from './domain/ledger-changes.js';
import { observe } from './domain/observe.js';
import { memoryMs, rebuild } from './domain/rebuild.js';
import { release } from './domain/release.js';
import { settle } from './domain/settle.js';
import { countTurn } from './ledger.metrics.js';
import { type Asked, foundKey, type Gathered, type LedgerStore } from './ledger.store.js';

/** Who asks; from the subject, which the server's permissions guard. */
export interface Asker {
  readonly account: AccountName;
  readonly integration: IntegrationName;
}

export type QuotaRequest =
  | { readonly verb: 'acquire'; readonly body: AcquireRequest }
  | { readonly verb: 'settle'; readonly body: SettleRequest }
  | { readonly verb: 'release'; readonly body: ReleaseRequest }
  | { readonly verb: 'observe'; readonly body: ObserveRequest };

export type QuotaAnswer = AcquireAnswer | SettleAnswer | ReleaseAnswer | ObserveAnswer;

/** Most requests decided and committed together. */
const MAX_REQUESTS_PER_TURN = 512;
/** Most requests waiting for their turn; beyond it they are told to come again. */
const MAX_REQUESTS_WAITING = 10_000;
/** A request whose turn failed this often is given up: what is wrong is the request. */
const MAX_TURNS_PER_REQUEST = 3;

type Waiting = Asker &
  QuotaRequest & {
    readonly arrivedAtMs: number;
    readonly answer: (answer: QuotaAnswer) => void;
    turns: number;
  };

/** Another process decides, or none does at the moment. */
export class NotTheOwner extends Error {
  readonly code = 'unavailable';
  constructor() {
    super('this process does not own the ledger');
    this.name = 'NotTheOwner';
  }
}

/**
 * The one place where quota is decided. Requests that arrive while a turn is being recorded wait, are decided together in
 * the next one, and are recorded by one commit; answers leave after it. A turn that failed, or may have, costs the books:
 * they are rebuilt from the tables, and its requests decided again, which finds what did take effect by their ids.
 */
export class QuotaHandler {
  private store: LedgerStore | null = null;
  private books = new Map<AccountName, AccountBooks>();
  private waiting: Waiting[] = [];
  private errands: (() => Promise<void>)[] = [];
  private turning: Promise<void> | null = null;
  private expiryDue = false;
  /** False while the books are being rebuilt: then an account that isn't there may well exist. */
  private hasBooks = false;
  /** The ledger's clock at the last turn, and this process's own at the same moment. */
  private lastNowMs = 0;
  private lastTurnAtMs = 0;
  private grantsMade = 0;
  private grantIdPrefix = '';

  constructor(
    private readonly clock: Clock,
    private readonly log: Log,
    /** Called after a commit that has something to tell on LEDGER. */
    private readonly onRecorded: () => void = () => undefined,
  ) {}

  /** Takes over as the owner: loads the books, then decides until `end`. */
  async begin(store: LedgerStore): Promise<void> {
    this.store = store;
    this.grantsMade = 0;
    this.lastNowMs = 0;
    await this.reload();
    this.grantIdPrefix = `g${store.epoch.toString(36)}-${this.lastNowMs.toString(36)}`;
  }

  /** No longer the owner: what waits is told to ask again. Resolves when the turn under way is over. */
  async end(): Promise<void> {
    this.store = null;
    await this.turning;
    this.forgetBooks();
    for (const waiting of this.waiting.splice(0)) waiting.answer(UNAVAILABLE);
    for (const errand of this.errands.splice(0)) await errand();
  }

  /** Decides a request in the next turn. Resolves after what was decided is durable. */
  ask(asker: Asker, request: QuotaRequest): Promise<QuotaAnswer> {
    if (!this.store) return Promise.resolve(UNAVAILABLE);
    if (this.waiting.length >= MAX_REQUESTS_WAITING) return Promise.resolve(OVERLOADED);
    return new Promise((answer) => {
      const arrivedAtMs = this.clock.monotonicMs();
      this.waiting.push({ ...asker, ...request, arrivedAtMs, answer, turns: 0 });
      this.turn();
    });
  }

  /** Runs something between turns, while nothing is decided. Rejects where this process isn't the owner. */
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

  /** Rebuilds the books of one account, or of all, from the tables. Call it between turns. */
  async reload(account?: AccountName): Promise<void> {
    const { store } = this;
    if (!store) return;
    const { nowMs, accounts } = await store.load(account);
    this.noteTime(nowMs);
    if (account === undefined) {
      this.books = new Map();
      this.hasBooks = true;
    }
    for (const stored of accounts) {
      const books = rebuild(stored);
      this.books.set(books.name, books);
      this.noteTime(Math.max(0, ...stored.grants.map(({ grantedAt }) => grantedAt)));
    }
  }

  /** What to say of an account that has no books: there is none, or nobody can tell at the moment. */
  noBooks(account: AccountName): Rejected | Unavailable {
    return this.hasBooks ? reject('unknown_account', `the ledger has no account ${account}`) : UNAVAILABLE;
  }

  /** The books of an account, for reading; null where there is none, or this process isn't the owner. */
  booksOf(account: AccountName): AccountBooks | null {
    return this.books.get(account) ?? null;
  }

  /** The latest instant at which anything was decided; the database's clock may have been set back since. */
  decidedMs(): number {
    return this.lastNowMs;
  }

  /** The ledger's clock, as far as it is known between turns. Never runs backwards. */
  nowMs(): number {
    return Math.floor(this.lastNowMs + this.clock.monotonicMs() - this.lastTurnAtMs);
  }

  /** Has a turn expire what nobody settled, if anything is due; drops counters of windows that are over. */
  expireDue(): void {
    const nowMs = this.nowMs();
    for (const books of this.books.values()) {
      // By the clock that decisions go by: between turns the database's may have been set back.
      forgetPast(books, this.lastNowMs);
      if ((nextExpiryAt(books) ?? Number.MAX_SAFE_INTEGER) <= nowMs) this.expiryDue = true;
    }
    if (this.expiryDue) this.turn();
  }

  /** When the oldest grant with open calls was made; now, where there is none. */
  openSince(): number {
    let since = this.nowMs();
    for (const books of this.books.values()) {
      const [oldest] = books.open.values();
      if (oldest) since = Math.min(since, oldest.grantedAt);
    }
    return since;
  }

  /** How far back grants still matter to some account's windows, ms: as long they must be kept. */
  memoryMs(): number {
    return Math.max(0, ...[...this.books.values()].map(memoryMs));
  }

  private turn(): void {
    this.turning ??= this.turns().finally(() => {
      this.turning = null;
      if (this.hasWork()) this.turn();
    });
  }

  private hasWork(): boolean {
    return this.store !== null && (this.waiting.length > 0 || this.errands.length > 0 || this.expiryDue);
  }

  private async turns(): Promise<void> {
    while (this.hasWork()) {
      // One breath: what arrived with the same read of the socket is decided in the same turn.
      await new Promise((resolve) => setImmediate(resolve));
      const errand = this.errands.shift();
      if (errand) await errand();
      else await this.oneTurn();
    }
  }

  /** Gather, decide, record, announce. */
  private async oneTurn(): Promise<void> {
    const { store } = this;
    if (!store) return;
    const batch = this.takeBatch();
    const begunAtMs = this.clock.monotonicMs();
    const answers: QuotaAnswer[] = [];
    let changes = new LedgerChanges();
    try {
      await store.turn(this.askedBy(batch), (gathered) => {
        this.noteTime(gathered.nowMs);
        changes = new LedgerChanges();
        this.expireIn(changes);
        for (const waiting of batch) answers.push(this.decide(waiting, gathered, begunAtMs, changes));
        return changes;
      });
    } catch (error) {
      await this.afterFailure(batch, error);
      return;
    }
    batch.forEach((waiting, index) => waiting.answer(answers[index]!));
    if (changes.events.length > 0) this.onRecorded();
    countTurn(batch, answers, this.clock.monotonicMs() - begunAtMs);
  }

  /** What failed before is tried alone, so that one bad request can't spoil its neighbours for ever. */
  private takeBatch(): Waiting[] {
    const alone = this.waiting[0] !== undefined && this.waiting[0].turns > 0;
    const batch = this.waiting.splice(0, alone ? 1 : MAX_REQUESTS_PER_TURN);
    for (const waiting of batch) waiting.turns += 1;
    return batch;
  }

  private async afterFailure(batch: Waiting[], error: unknown): Promise<void> {
    this.log.warn('a turn failed; its books are rebuilt', { requests: batch.length, error });
    const again = batch.filter(({ turns }) => turns < MAX_TURNS_PER_REQUEST);
    for (const waiting of batch) if (!again.includes(waiting)) waiting.answer(INTERNAL_ERROR);
    this.waiting = [...again, ...this.waiting];
    await this.rebuildAll();
  }

  /**
   * Drops the books, which may no longer say what the tables do, and rebuilds them. Where that fails too, this process gives
   * the ownership up. Call it between turns.
   */
  async rebuildAll(): Promise<void> {
    const { store } = this;
    this.forgetBooks();
    if (!store) return;
    try {
      await this.reload();
    } catch (error) {
      // Without books nothing can be decided: the owner gives up, and begins again as one among equals.
      this.log.error('the books could not be rebuilt', { error });
      this.store = null;
      for (const waiting of this.waiting.splice(0)) waiting.answer(UNAVAILABLE);
      await store.release().catch(() => undefined);
    }
  }

  private forgetBooks(): void {
    this.books = new Map();
    this.hasBooks = false;
  }

  private askedBy(batch: readonly Waiting[]): Asked {
    const requests: Asked['requests'][number][] = [];
    const grantIds: string[] = [];
    for (const { account, integration, ...request } of batch) {
      const books = this.books.get(account);
      if (!books) continue;
      if (request.verb === 'acquire') {
        const { requestId } = request.body;
        if (!books.openByRequest.has(requestKey(integration, requestId)))
          requests.push({ account, integration, requestId });
      } else if (request.verb === 'settle') {
        if (!books.open.has(request.body.grantId)) grantIds.push(request.body.grantId);
      } else if (request.verb === 'observe' && request.body.status === 429 && request.body.grantId !== null) {
        if (!books.open.has(request.body.grantId)) grantIds.push(request.body.grantId);
      }
    }
    return { requests, grantIds };
  }

  private decide(waiting: Waiting, gathered: Gathered, begunAtMs: number, changes: LedgerChanges): QuotaAnswer {
    const { account, integration } = waiting;
    const books = this.books.get(account);
    if (!books) return this.noBooks(account);
    const nowMs = this.lastNowMs;
    const moment = { nowMs, heldMs: Math.max(0, begunAtMs - waiting.arrivedAtMs) };
    switch (waiting.verb) {
      case 'acquire': {
        const { requestId } = waiting.body;
        const stored = gathered.byRequest.get(foundKey(account, integration, requestId)) ?? null;
        const known = changes.closedGrantOf(account, integration, requestId) ?? stored;
        const request = { ...waiting.body, waitMs: 0 };
        const answer = acquire(books, integration, request, { nowMs, newId: this.newGrantId, known }, changes);
        if (answer === 'waits') throw new Error('a request that may not wait waits');
        return answer;
      }
      case 'settle': {
        const grant = grantIn(books, gathered, changes, waiting.body.grantId);
        return settle(books, integration, grant, waiting.body, moment, changes);
      }
      case 'release':
        return release(books, integration, waiting.body, changes);
      case 'observe': {
        const grant = grantIn(books, gathered, changes, waiting.body.grantId);
        return observe(books, integration, grant, waiting.body, moment, changes);
      }
      default:
        throw new Error(`unknown request ${String(waiting satisfies never)}`);
    }
  }

  private expireIn(changes: LedgerChanges): void {
    if (!this.expiryDue) return;
    this.expiryDue = false;
    for (const books of this.books.values()) expire(books, this.lastNowMs, changes);
  }

  private noteTime(nowMs: number): void {
    this.lastNowMs = Math.max(this.lastNowMs, nowMs);
    this.lastTurnAtMs = this.clock.monotonicMs();
  }

  /** Never given before: the epoch is this owner's alone, and its beginning tells it from one that a restored backup repeats. */
  private readonly newGrantId = (): string => {
    this.grantsMade += 1;
    return `${this.grantIdPrefix}-${this.grantsMade.toString(36)}`;
  };
}

/** Open, closed a moment ago in this same turn, or closed before and found in the tables. */
function grantIn(books: AccountBooks, gathered: Gathered, changes: LedgerChanges, id: string | null): Grant | null {
  if (id === null) return null;
  const known = books.open.get(id) ?? changes.grantOf(books.name, id);
  if (known) return known;
  const found = gathered.byId.get(id);
  return found?.account === books.name ? found : null;
}

function reject(code: string, message: string): Rejected {
  return { answer: 'rejected', code, message };
}

const ASK_AGAIN_MS = 250;
const ASK_AGAIN_AFTER_ERROR_MS = 5_000;

/** Nothing is decided, or it can't be told what was: the same request, asked again, finds out. */
export const UNAVAILABLE: Unavailable = {
  answer: 'unavailable',
  code: 'unavailable',
  message: 'this process does not own the ledger at the moment; ask again with the same requestId',
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
