import type { AcquireAnswer, AcquireRequest, Cancelled, Granted, SettleRequest } from '#contracts';
import type { Heard, QuotaTransport } from '../src/quota-transport.js';
import type { VirtualTime } from './virtual-time.js';

/** What becomes of one copy of a request on its way there and back. */
export interface Fate {
  readonly lost: boolean;
  readonly travelsMs: number;
  /** It comes again, so much later. */
  readonly againAfterMs: number | null;
  readonly answerLost: boolean;
  readonly answerTravelsMs: number;
  readonly nobody: boolean;
}

export const SMOOTH: Fate = {
  lost: false,
  travelsMs: 1,
  againAfterMs: null,
  answerLost: false,
  answerTravelsMs: 1,
  nobody: false,
};

/** A grant as the ledger keeps it: instants of true time. */
export interface KeptGrant {
  readonly grantId: string;
  readonly calls: number;
  readonly notBeforeMs: number;
  readonly validUntilMs: number;
  /** True-time spans told for used calls. */
  readonly used: { readonly fromMs: number; readonly toMs: number | null }[];
  returned: number;
}

interface Waiting {
  readonly request: AcquireRequest;
  readonly arrivedMs: number;
  readonly answer: (answer: AcquireAnswer) => void;
}

/**
 * A ledger at the other end of a bad network, in virtual time: as naive as can be, so that it can be a witness. It grants
 * everything, `grantsAfterMs` after it was asked where the request may wait so long.
 */
export class SimulatedLedger implements QuotaTransport {
  readonly grants = new Map<string, KeptGrant>();
  readonly asked: { readonly verb: string; readonly body: Record<string, unknown>; readonly atMs: number }[] = [];
  readonly #settled = new Set<string>();
  readonly #waiting: Waiting[] = [];
  fates: () => Fate = () => SMOOTH;
  grantsAfterMs = 0;
  sendInMs = 0;
  validForMs = 10_000;
  /** Instead of its own answers, where it gives one. */
  says: (verb: string, body: Record<string, unknown>) => object | null = () => null;

  constructor(private readonly time: VirtualTime) {}

  ask(subject: string, body: object, withinMs: number): Promise<Heard> {
    const fate = this.fates();
    const verb = subject.split('.').at(-1)!;
    const sent = JSON.parse(JSON.stringify(body)) as Record<string, unknown>;
    return new Promise((resolve) => {
      if (fate.nobody) {
        this.time.after(fate.travelsMs, () => resolve({ heard: 'nobody' }));
        return;
      }
      this.time.after(withinMs, () => resolve({ heard: 'silence' }));
      const answer = (said: object): void => {
        if (!fate.answerLost)
          this.time.after(fate.answerTravelsMs, () => resolve({ heard: 'answer', answer: structuredClone(said) }));
      };
      if (fate.lost) return;
      this.time.after(fate.travelsMs, () => this.#receive(verb, sent, answer));
      if (fate.againAfterMs !== null)
        this.time.after(fate.travelsMs + fate.againAfterMs, () => this.#receive(verb, sent, answer));
    });
  }

  #receive(verb: string, body: Record<string, unknown>, answer: (said: object) => void): void {
    this.asked.push({ verb, body, atMs: this.time.nowMs });
    const told = this.says(verb, body);
    if (told) return answer(told);
    switch (verb) {
      case 'acquire':
        return this.#acquire(body as unknown as AcquireRequest, answer);
      case 'settle':
        return answer(this.#settle(body as unknown as SettleRequest));
      case 'cancel':
        return answer(this.#cancel(String(body['requestId'])));
      default:
        return answer({ answer: verb === 'observe' ? 'observed' : verb, closed: [] });
    }
  }

  #acquire(request: AcquireRequest, answer: (said: AcquireAnswer) => void): void {
    const arrivedMs = this.time.nowMs;
    const known = this.grants.get(request.requestId);
    if (known) return answer(this.#granted(known, arrivedMs));
    if (this.grantsAfterMs === 0) return answer(this.#grant(request, arrivedMs));
    // The newest copy is the one that waits.
    this.#endWait(request.requestId);
    if (request.waitMs === 0) return answer(REFUSED);
    const waiting = { request, arrivedMs, answer };
    this.#waiting.push(waiting);
    this.time.after(Math.min(this.grantsAfterMs, request.waitMs), () => {
      const index = this.#waiting.indexOf(waiting);
      if (index < 0) return;
      this.#waiting.splice(index, 1);
      answer(request.waitMs < this.grantsAfterMs ? REFUSED : this.#grant(request, arrivedMs));
    });
  }

  #grant(request: AcquireRequest, arrivedMs: number): Granted {
    const notBeforeMs = this.time.nowMs + this.sendInMs;
    const kept = this.grants.get(request.requestId) ?? {
      grantId: `g-${request.requestId}`,
      calls: request.calls.max,
      notBeforeMs,
      validUntilMs: notBeforeMs + this.validForMs,
      used: [],
      returned: 0,
    };
    this.grants.set(request.requestId, kept);
    return this.#granted(kept, arrivedMs);
  }

  /** What is left of its times: until it may be used from now, how long it is valid from when this copy arrived. */
  #granted(kept: KeptGrant, arrivedMs: number): Granted {
    return {
      answer: 'granted',
      grantId: kept.grantId,
      calls: kept.calls,
      sendInMs: Math.max(0, kept.notBeforeMs - this.time.nowMs),
      validForMs: Math.max(0, kept.validUntilMs - arrivedMs),
      settleWithinMs: Math.max(0, kept.validUntilMs - arrivedMs) + 5_000,
      holdIds: [],
      remaining: [],
    };
  }

  #settle({ requestId, grantId, used, returned }: SettleRequest): object {
    const kept = [...this.grants.values()].find((grant) => grant.grantId === grantId);
    if (!kept) return { answer: 'rejected', code: 'unknown_grant', message: '' };
    if (!this.#settled.has(requestId)) {
      this.#settled.add(requestId);
      // The settle's own journey isn't known to a ledger: it counts back from when it has it.
      for (const { sentAgoMs, answeredAgoMs } of used)
        kept.used.push({
          fromMs: this.time.nowMs - sentAgoMs,
          toMs: answeredAgoMs === null ? null : this.time.nowMs - answeredAgoMs,
        });
      kept.returned += returned;
    }
    return {
      answer: 'settled',
      grantId,
      late: false,
      used: kept.used.length,
      returned: kept.returned,
      expired: 0,
      open: 0,
    };
  }

  #cancel(requestId: string): Cancelled {
    if (this.#endWait(requestId)) return { answer: 'cancelled', was: 'waiting', grantId: null };
    const kept = this.grants.get(requestId);
    return kept
      ? { answer: 'cancelled', was: 'granted', grantId: kept.grantId }
      : { answer: 'cancelled', was: 'unknown', grantId: null };
  }

  #endWait(requestId: string): boolean {
    const ended = this.#waiting.filter(({ request }) => request.requestId === requestId);
    for (const waiting of ended) {
      this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
      waiting.answer(REFUSED);
    }
    return ended.length > 0;
  }
}

const REFUSED = {
  answer: 'refused',
  limit: 'minute',
  reason: 'limit_reached',
  retryInMs: 700,
  eta: { fromMs: 700, toMs: 700 },
} as const;
