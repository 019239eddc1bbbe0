import { setTimeout as after } from 'node:timers/promises';
import type { AcquireAnswer, SettleAnswer, SettleRequest, UsedCall } from '#contracts';
import type { Field, TightAccount } from './field.js';
import { INTEGRATION } from './quota-sender.js';

const MINUTE_MS = 60_000;
const ASK_LIMIT_MS = 10_000;
/** Who is refused comes again this soon, even where it is told to wait longer. */
const LONGEST_WAIT_MS = 20;
/** Said what became of it only so long after: until then the ledger has to reckon with the worst. */
const LATEST_SETTLE_MS = 400;
/** One window in three nobody asks before this part of it is over: then many calls are under way when it ends. */
const QUIET_ONE_IN = 3;
const QUIET_PART = 0.85;
/** Part of its time that a call may let pass before it leaves. */
const HESITATES = 0.9;

export interface Overshoot {
  /** Calls above the limit in the fullest window; 0 where none had more. */
  readonly overshoot: number;
  readonly limit: number;
  readonly windowMs: number;
  /** Calls that arrived in each whole window, oldest first. */
  readonly callsPerWindow: readonly number[];
  readonly refused: number;
}

/**
 * Asks for more than there is, in the worst moments, makes every granted call within its time, and counts for itself what arrives in each true
 * window of the wall clock. What the ledger says of its own counts isn't looked at.
 */
export async function measureOvershoot(
  field: Field,
  tight: TightAccount,
  { inFlight, windows, signal }: { readonly inFlight: number; readonly windows: number; readonly signal: AbortSignal },
): Promise<Overshoot> {
  const windowMs = MINUTE_MS / tight.timeScale;
  const arrived = new Map<number, number>();
  const firstWhole = Math.floor(Date.now() / windowMs) + 1;
  const endsAtMs = (firstWhole + windows) * windowMs;
  const crm = new IndependentCrm(windowMs, tight.requestTimeoutMs, arrived);
  const customer = new GreedyCustomer(field, tight.name, crm);
  const lane = async (number: number): Promise<void> => {
    for (let turn = 0; Date.now() < endsAtMs && !signal.aborted; turn += 1) {
      await after(quietMs(Date.now(), windowMs));
      await customer.once(`o${number}.${turn}`);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, (_, number) => lane(number)));
  await customer.settled();
  signal.throwIfAborted();
  const whole = Array.from({ length: windows }, (_, index) => arrived.get(firstWhole + index) ?? 0);
  const most = Math.max(0, ...arrived.values());
  return {
    overshoot: Math.max(0, most - tight.limitPerMinute),
    limit: tight.limitPerMinute,
    windowMs,
    callsPerWindow: whole,
    refused: customer.refused,
  };
}

/** How long nobody asks from now on. */
function quietMs(nowMs: number, windowMs: number): number {
  const isQuiet = Math.floor(nowMs / windowMs) % QUIET_ONE_IN === 0;
  return isQuiet ? Math.max(0, windowMs * QUIET_PART - (nowMs % windowMs)) : 0;
}

/** Counts calls where they arrive, by the wall clock, knowing nothing of grants. */
class IndependentCrm {
  constructor(
    private readonly windowMs: number,
    private readonly requestTimeoutMs: number,
    private readonly arrived: Map<number, number>,
  ) {}

  /** A call under way for a while that nobody can foresee. False where it took longer than its caller waits: given up, not made. */
  async call(): Promise<boolean> {
    const sentAtMs = performance.now();
    await after(Math.random() * this.requestTimeoutMs * 0.5);
    if (performance.now() - sentAtMs > this.requestTimeoutMs) return false;
    const window = Math.floor(Date.now() / this.windowMs);
    this.arrived.set(window, (this.arrived.get(window) ?? 0) + 1);
    return true;
  }
}

class GreedyCustomer {
  refused = 0;
  readonly #settling: Promise<void>[] = [];

  constructor(
    private readonly field: Field,
    private readonly account: string,
    private readonly crm: IndependentCrm,
  ) {}

  /** Resolves once it has been said of every call what became of it. */
  async settled(): Promise<void> {
    await Promise.all(this.#settling);
  }

  /** Asks for a call, and makes it where granted. */
  async once(requestId: string): Promise<void> {
    const askedAtMs = performance.now();
    const request = { requestId, kind: 'other', calls: { min: 1, max: 1 }, priority: 'live' };
    const answer = await this.#ask<AcquireAnswer>('acquire', request);
    if (answer.answer === 'refused') {
      this.refused += 1;
      await after(Math.min(answer.retryInMs, LONGEST_WAIT_MS));
      return;
    }
    if (answer.answer !== 'granted') throw new Error(JSON.stringify(answer));
    // Not before its time, and somewhere within it: a client may well hesitate.
    const timeLeftMs = Math.max(0, answer.validForMs - answer.sendInMs);
    await after(answer.sendInMs + Math.random() * timeLeftMs * HESITATES);
    const sentAtMs = performance.now();
    const isValid = sentAtMs - askedAtMs <= answer.validForMs;
    const wasAnswered = isValid && (await this.crm.call());
    const { grantId } = answer;
    const settling = this.#settle(
      grantId,
      isValid ? { sentAtMs, answeredAtMs: wasAnswered ? performance.now() : null } : null,
    );
    settling.catch(() => undefined); // told by `settled`
    this.#settling.push(settling);
  }

  /** Some time later. `call` null: it was never made. */
  async #settle(grantId: string, call: { sentAtMs: number; answeredAtMs: number | null } | null): Promise<void> {
    await after(Math.random() * LATEST_SETTLE_MS);
    const nowMs = performance.now();
    const used: UsedCall[] = [];
    if (call !== null) {
      const answeredAgoMs = call.answeredAtMs === null ? null : Math.floor(nowMs - call.answeredAtMs);
      used.push({ sentAgoMs: Math.ceil(nowMs - call.sentAtMs), answeredAgoMs });
    }
    const request: SettleRequest = { requestId: `${grantId}s`, grantId, used, returned: call === null ? 1 : 0 };
    const answer = await this.#ask<SettleAnswer>('settle', request);
    if (answer.answer !== 'settled') throw new Error(JSON.stringify(answer));
  }

  async #ask<A>(verb: 'acquire' | 'settle', request: unknown): Promise<A> {
    const subject = `quota.v1.${this.account}.${INTEGRATION}.${verb}`;
    const answer = await this.field.nc.request(subject, JSON.stringify(request), { timeout: ASK_LIMIT_MS });
    return answer.json<A>();
  }
}
