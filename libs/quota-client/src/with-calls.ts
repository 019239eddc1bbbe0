import type { Clock, NewId } from '#clock';
import type { CallKind, SettleAnswer } from '#contracts';
import type { HeldGrant } from './held-grant.js';
import type { QuotaClient } from './quota-client.js';
import type { Acquired, CallMade, Heard, SeenAnswer, Wanted } from './words.js';

/** What `withCalls` is to acquire, and how the calls are to be made. */
export interface CallsWanted extends Wanted {
  /** Most calls being made at once; default 5. */
  readonly atOnce?: number;
}

/** What became of one granted call. */
export type CallResult<T> =
  | { readonly did: 'made'; readonly value: T }
  /** The function threw, after the call may have left. */
  | { readonly did: 'failed'; readonly error: unknown }
  /** It never left: its time was over, or the function said so. */
  | { readonly did: 'returned'; readonly error: unknown };

export type Ran<T> =
  | {
      readonly answer: 'ran';
      readonly grantId: string;
      /** One for each granted call, in order. */
      readonly calls: readonly CallResult<T>[];
      /** Places of bulk jobs that were begun: release each when its job is over. */
      readonly holdIds: readonly string[];
      readonly settled: Heard<SettleAnswer>;
    }
  | Exclude<Acquired, { readonly answer: 'granted' }>;

/** One call that may be made, once. Say what happens to it as it happens: what isn't said is taken for the worst. */
export interface GrantedCall {
  /** Which of the grant's calls, from 0. */
  readonly call: number;
  readonly grantId: string;
  /** Its place, for bulk kinds. */
  readonly holdId: string | null;
  /** What hasn't left by then may no longer leave. */
  readonly validUntilMonoMs: number;
  /**
   * To be asked right before the first byte leaves: true = send it now. False = too late, or it has left already: don't.
   * Left out, the call counts as left when the function was called.
   */
  leave(): boolean;
  /**
   * The CRM's answer is here; with what it said the ledger learns how the limits stand. Left out, the call counts as
   * answered when the function's promise resolves, and as unanswered where it rejects.
   */
  answered(seen?: Pick<SeenAnswer, 'status' | 'headers' | 'refusal'>): void;
  /** Certainly nothing left: no connection, nothing to do after all. The call is returned. */
  notSent(): void;
}

/** Longest that one request waits in the ledger; a longer wait is asked for in parts, so that a dead ledger is noticed. */
const LONGEST_ASK_MS = 30_000;
const CALLS_AT_ONCE = 5;
/** Grants whose time was over when they came: a machine or a network as slow as that won't get a better one. */
const MAX_LATE_GRANTS = 3;

interface Tools {
  readonly client: QuotaClient;
  readonly clock: Clock;
  readonly newId: NewId;
}

/**
 * Acquires calls, hands each to `make` within its time, settles all of them when they are over, and passes on what was
 * observed. Never rejects: what `make` throws stands in the results.
 */
export async function withCalls<T>(
  tools: Tools,
  wanted: CallsWanted,
  make: (call: GrantedCall) => Promise<T>,
): Promise<Ran<T>> {
  const acquired = await acquireInTime(tools, wanted);
  if (acquired.answer !== 'granted') return acquired;
  const { client, clock } = tools;
  const { grant } = acquired;
  const waitMs = grant.notBeforeMonoMs - clock.monotonicMs();
  if (waitMs > 0) await clock.sleep(waitMs, wanted.signal).catch(() => undefined);
  const tickets = Array.from({ length: grant.calls }, (_, call) => new Ticket(grant, call, wanted, tools));
  const calls = await inTurns(tickets, wanted.atOnce ?? CALLS_AT_ONCE, (ticket) => ticket.use(make));
  const used = tickets.flatMap((ticket) => ticket.made() ?? []);
  const settled = await client.settle(grant.grantId, { used, returned: grant.calls - used.length });
  await Promise.all(tickets.map((ticket) => ticket.observed));
  const holdIds = used.flatMap(({ call }) => grant.holdIds[call!] ?? []);
  return { answer: 'ran', grantId: grant.grantId, calls, holdIds, settled };
}

/** A grant that can still be used, or what the last request came to. */
async function acquireInTime({ client, clock, newId }: Tools, wanted: CallsWanted): Promise<Acquired> {
  const waitsUntilMonoMs = clock.monotonicMs() + (wanted.waitMs ?? 0);
  let requestId = wanted.requestId ?? newId();
  let late = 0;
  for (;;) {
    const leftMs = Math.max(0, waitsUntilMonoMs - clock.monotonicMs());
    const acquired = await client.acquire({ ...wanted, requestId, waitMs: Math.min(leftMs, LONGEST_ASK_MS) });
    switch (acquired.answer) {
      case 'granted':
        if (!acquired.grant.isOver(clock.monotonicMs())) return acquired;
        await client.settle(acquired.grant.grantId, { returned: acquired.grant.calls, requestId });
        late += 1;
        if (late >= MAX_LATE_GRANTS) return { answer: 'silent', retryInMs: 0 };
        requestId = newId();
        break;
      case 'refused':
      case 'silent': {
        if (clock.monotonicMs() + acquired.retryInMs > waitsUntilMonoMs) {
          if (acquired.answer === 'silent') void client.withdraw({ ...wanted, requestId });
          return acquired;
        }
        await clock.sleep(acquired.retryInMs, wanted.signal).catch(() => undefined);
        break;
      }
      case 'rejected':
      case 'withdrawn':
        return acquired;
      default:
        return acquired satisfies never;
    }
  }
}

/** One call's way: granted → left → answered, or returned. */
class Ticket implements GrantedCall {
  readonly grantId: string;
  readonly holdId: string | null;
  readonly validUntilMonoMs: number;
  observed: Promise<unknown> = Promise.resolve();
  readonly #kind: CallKind;
  #begunAtMonoMs: number | null = null;
  #leftAtMonoMs: number | null = null;
  #answeredAtMonoMs: number | null = null;
  #returned = false;

  constructor(
    private readonly grant: HeldGrant,
    readonly call: number,
    private readonly wanted: CallsWanted,
    private readonly tools: Tools,
  ) {
    this.grantId = grant.grantId;
    this.holdId = grant.holdIds[call] ?? null;
    this.validUntilMonoMs = grant.validUntilMonoMs;
    this.#kind = wanted.kind;
  }

  async use<T>(make: (call: GrantedCall) => Promise<T>): Promise<CallResult<T>> {
    const nowMonoMs = this.tools.clock.monotonicMs();
    if (this.wanted.signal?.aborted || !this.grant.mayLeave(nowMonoMs)) {
      this.#returned = true;
      return { did: 'returned', error: null };
    }
    this.#begunAtMonoMs = nowMonoMs;
    try {
      const value = await make(this);
      this.#answeredAtMonoMs ??= this.tools.clock.monotonicMs();
      return this.#returned ? { did: 'returned', error: null } : { did: 'made', value };
    } catch (error) {
      return this.#returned ? { did: 'returned', error } : { did: 'failed', error };
    }
  }

  leave(): boolean {
    if (this.#leftAtMonoMs !== null || this.#returned) return false;
    const nowMonoMs = this.tools.clock.monotonicMs();
    if (this.grant.mayLeave(nowMonoMs)) this.#leftAtMonoMs = nowMonoMs;
    else this.#returned = true;
    return !this.#returned;
  }

  answered(seen?: Pick<SeenAnswer, 'status' | 'headers' | 'refusal'>): void {
    this.#answeredAtMonoMs ??= this.tools.clock.monotonicMs();
    if (!seen) return;
    const answeredAtMonoMs = this.#answeredAtMonoMs;
    this.observed = this.tools.client.observe({
      ...seen,
      grantId: this.grantId,
      kind: this.#kind,
      answeredAtMonoMs,
    });
  }

  notSent(): void {
    this.#returned = true;
  }

  /** Null where nothing left. */
  made(): CallMade | null {
    const sentAtMonoMs = this.#leftAtMonoMs ?? this.#begunAtMonoMs;
    if (this.#returned || sentAtMonoMs === null) return null;
    return { call: this.call, sentAtMonoMs, answeredAtMonoMs: this.#answeredAtMonoMs };
  }
}

/** In order, at most so many at once. */
async function inTurns<I, R>(items: readonly I[], atOnce: number, work: (item: I) => Promise<R>): Promise<R[]> {
  const results = Array.from<R>({ length: items.length });
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const index = next;
      next += 1;
      results[index] = await work(items[index]!);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker));
  return results;
}
