import type { NatsConnection } from '@nats-io/transport-node';
import { type Backoff, backoffMs, type Clock, type NewId, settledWithin } from '#clock';
import {
  type AccountName,
  type AcquireAnswer,
  type AcquireRequest,
  type CancelAnswer,
  type CancelRequest,
  type ForecastAnswer,
  type ForecastRequest,
  type HoldAnswer,
  type HoldRequest,
  type IntegrationName,
  type ObserveAnswer,
  type ObserveRequest,
  type QuotaVerb,
  type Rejected,
  type ReleaseAnswer,
  type ReleaseRequest,
  type SettleAnswer,
  type SettleRequest,
  subjects,
  type UsageAnswer,
  type UsageRequest,
} from '#contracts';
import { HeldGrant } from './held-grant.js';
import { natsTransport, type QuotaTransport } from './quota-transport.js';
import { agoMs, tellingHeaders, usedCallOf } from './tell.js';
import { isRecord, isUndecided, toldWaitMs } from './undecided.js';
import { type CallsWanted, type GrantedCall, type Ran, withCalls } from './with-calls.js';
import type { Acquired, Heard, SeenAnswer, Settlement, Wanted, Withdrawn } from './words.js';

/** Who asks, over what, and by which clock. */
export interface QuotaClientOptions {
  readonly account: AccountName;
  readonly integration: IntegrationName;
  /** Connected as the integration's own user, with its inbox prefix. `nc` or `transport`. */
  readonly nc?: Pick<NatsConnection, 'request'>;
  /** Another way to the ledger than a connection to NATS. */
  readonly transport?: QuotaTransport;
  readonly clock: Clock;
  readonly newId: NewId;
  /** In [0, 1): keeps many clients from coming back at the same moment. Default: they do. */
  readonly random?: () => number;
  readonly patience?: Partial<Patience>;
}

/** How long and how often the ledger is asked. */
export interface Patience {
  /** For one answer, beside the time that the request may wait in the ledger, ms. */
  readonly answerWithinMs: number;
  /** Most times that a request is sent while no answer comes, or nothing is decided. */
  readonly maxTries: number;
  /** The same for what must be heard: settles. Together they take as long as a grant can be settled, about. */
  readonly maxSettleTries: number;
  readonly retry: Backoff;
  /** Most that an `unavailable` ledger can make a request wait that may not wait; else it is `silent`. */
  readonly longestToldWaitMs: number;
}

const PATIENCE: Patience = {
  answerWithinMs: 2_000,
  maxTries: 3,
  maxSettleTries: 6,
  retry: { firstMs: 200, mostMs: 5_000 },
  longestToldWaitMs: 1_000,
};
/** When to ask again after silence, where the ledger named no time. */
const SILENT_RETRY_MS = 1_000;

/**
 * One integration's side of the quota protocol (docs/protocol.md), with all that is easy to get wrong: durations become
 * instants of the monotonic clock, on the safe side; what isn't heard is said again under the same requestId, with fresh
 * durations; waits can be ended. No method rejects, and none keeps anything between two requests.
 */
export class QuotaClient {
  readonly #options: QuotaClientOptions;
  readonly #transport: QuotaTransport;
  readonly #patience: Patience;

  /** @throws TypeError where neither a connection nor a transport is given */
  constructor(options: QuotaClientOptions) {
    this.#options = options;
    this.#patience = { ...PATIENCE, ...options.patience };
    const transport = options.transport ?? (options.nc && natsTransport(options.nc));
    if (!transport) throw new TypeError('a quota client needs nc or transport');
    this.#transport = transport;
  }

  /**
   * Permission for as many calls of `calls.min..max` as fit, or why not now. With `waitMs` it waits in the ledger, and keeps
   * asking while that is away. `silent` leaves open whether something was granted: ask again with the same `requestId`,
   * or `withdraw` it.
   */
  async acquire(wanted: Wanted): Promise<Acquired> {
    const { signal } = wanted;
    if (signal?.aborted) return { answer: 'withdrawn' };
    const request = this.#requestOf(wanted);
    const acquiring = this.#acquire(request, signal);
    if (!signal) return acquiring;
    const aborted = abortOf(signal);
    try {
      const first = await Promise.race([acquiring, aborted.happened]);
      return first === 'aborted' ? await this.#withdrawPending(request, acquiring) : first;
    } finally {
      aborted.forget();
    }
  }

  /**
   * Says what became of a grant's calls, once or in several parts. Said again, with fresh durations, until it is heard or
   * it would be too late; unheard the calls count as used, which errs on the safe side.
   */
  settle(grantId: string, settlement: Settlement): Promise<Heard<SettleAnswer>> {
    const { used = [], returned = 0, requestId = this.#options.newId() } = settlement;
    const body = (): SettleRequest => {
      const nowMonoMs = this.#options.clock.monotonicMs();
      return { requestId, grantId, used: used.map((made) => usedCallOf(made, nowMonoMs)), returned };
    };
    return this.#persist<SettleAnswer>(this.#subject('settle'), body, this.#patience.maxSettleTries);
  }

  /** Ends the wait of a request. `was: 'granted'` = too late: its calls are to be settled (`withdraw` does both). */
  cancel(requestId: string): Promise<Heard<CancelAnswer>> {
    const body: CancelRequest = { requestId };
    return this.#persist<CancelAnswer>(this.#subject('cancel'), () => body);
  }

  /** Forgets a request: ends its wait, or returns what it was granted. For requests that came back `silent`. */
  async withdraw(wanted: Wanted & { readonly requestId: string }): Promise<void> {
    await this.#withdraw(this.#requestOf(wanted));
  }

  /** Takes places without calls, for jobs that were found running. `requestId` left out = a new one. */
  hold(wanted: Omit<HoldRequest, 'requestId'> & { readonly requestId?: string }): Promise<Heard<HoldAnswer>> {
    const { requestId = this.#options.newId(), limit, places } = wanted;
    const body: HoldRequest = { requestId, limit, places };
    return this.#persist<HoldAnswer>(this.#subject('hold'), () => body);
  }

  /** Gives places back. Safe to repeat; until it is `released` they stay taken. */
  release(holdIds: readonly string[]): Promise<Heard<ReleaseAnswer>> {
    const body: ReleaseRequest = { requestId: this.#options.newId(), holdIds };
    return this.#persist<ReleaseAnswer>(this.#subject('release'), () => body);
  }

  /** Passes on what the CRM said of its limits. */
  observe(seen: SeenAnswer): Promise<Heard<ObserveAnswer>> {
    const headers = tellingHeaders(seen.headers);
    const body = (): ObserveRequest => ({
      grantId: seen.grantId,
      kind: seen.kind,
      status: seen.status,
      headers,
      ...(seen.refusal ? { refusal: seen.refusal } : {}),
      answeredAgoMs: Math.floor(agoMs(this.#options.clock.monotonicMs(), seen.answeredAtMonoMs)),
    });
    return this.#persist<ObserveAnswer>(this.#subject('observe'), body);
  }

  /** The account's books: counts by integration and bucket, how the limits stand, which places are taken. */
  usage(asked: Partial<UsageRequest> = {}): Promise<Heard<UsageAnswer | Rejected>> {
    return this.#persist<UsageAnswer | Rejected>(subjects.usage(this.#options.account), () => asked);
  }

  /** When calls would be had, as things stand. Reserves nothing. */
  forecast(asked: Omit<ForecastRequest, 'integration'> & Partial<ForecastRequest>): Promise<Heard<ForecastAnswer>> {
    const body: ForecastRequest = { integration: this.#options.integration, ...asked };
    return this.#persist<ForecastAnswer>(subjects.forecast(this.#options.account), () => body);
  }

  /**
   * Acquires calls, has them made, and settles them: see `CallsWanted` and `GrantedCall`. Waits up to `waitMs` in all for
   * its turn, whether in the ledger or for the ledger.
   */
  withCalls<T>(wanted: CallsWanted, make: (call: GrantedCall) => Promise<T>): Promise<Ran<T>> {
    const { clock, newId } = this.#options;
    return withCalls({ client: this, clock, newId }, wanted, make);
  }

  #requestOf(wanted: Wanted): AcquireRequest {
    const { requestId = this.#options.newId(), kind, keys, calls, priority, waitMs } = wanted;
    return {
      requestId,
      kind,
      ...(keys === undefined || keys.length === 0 ? {} : { keys }),
      calls: calls ?? { min: 1, max: 1 },
      priority: priority ?? 'normal',
      waitMs: waitMs ?? 0,
    };
  }

  async #acquire(request: AcquireRequest, signal?: AbortSignal): Promise<Acquired> {
    const { clock } = this.#options;
    const { answerWithinMs, maxTries, longestToldWaitMs } = this.#patience;
    const waitsUntilMonoMs = clock.monotonicMs() + request.waitMs;
    // Copies that nobody received don't count; whichever of the others is answered, it had not been sent before this.
    let firstSentMonoMs: number | null = null;
    for (let tries = 1; ; tries += 1) {
      const sentMonoMs = clock.monotonicMs();
      const waitMs = Math.max(0, Math.floor(waitsUntilMonoMs - sentMonoMs));
      const subject = this.#subject('acquire');
      const heard = await this.#transport.ask(subject, { ...request, waitMs }, answerWithinMs + waitMs);
      if (heard.heard === 'forbidden') return notPermitted(heard.message);
      if (heard.heard !== 'nobody') firstSentMonoMs ??= sentMonoMs;
      if (heard.heard === 'answer' && !isUndecided(heard.answer))
        return this.#acquired(heard.answer as AcquireAnswer, firstSentMonoMs ?? sentMonoMs);
      const told = heard.heard === 'answer' ? toldWaitMs(heard.answer) : null;
      const pauseMs = told ?? this.#backoffMs(tries);
      const waits = clock.monotonicMs() + pauseMs <= waitsUntilMonoMs;
      const insists = heard.heard !== 'nobody' && tries < maxTries && pauseMs <= longestToldWaitMs;
      if (signal?.aborted || !(waits || insists)) return { answer: 'silent', retryInMs: told ?? SILENT_RETRY_MS };
      await clock.sleep(pauseMs, signal).catch(() => undefined);
      if (signal?.aborted) return { answer: 'silent', retryInMs: 0 };
    }
  }

  #acquired(answer: AcquireAnswer, firstSentMonoMs: number): Acquired {
    switch (answer.answer) {
      case 'granted': {
        const grant = new HeldGrant(answer, { firstSentMonoMs, answeredMonoMs: this.#options.clock.monotonicMs() });
        return { answer: 'granted', grant };
      }
      case 'refused':
      case 'rejected':
        return answer;
      case 'unavailable':
        return { answer: 'silent', retryInMs: answer.retryInMs };
      default:
        answer satisfies never;
        return UNREADABLE;
    }
  }

  /** The signal ended a wait. Whatever the pending request still comes to is returned, however late. */
  async #withdrawPending(request: AcquireRequest, acquiring: Promise<Acquired>): Promise<Withdrawn> {
    let answered = false;
    const givenBack = acquiring.then((acquired) => {
      answered = acquired.answer !== 'silent';
      // A copy may have come to the ledger after the word that it is not wanted any more.
      return answered ? this.#giveBack(request, acquired) : this.#withdraw(request);
    });
    const cancelled = await this.cancel(request.requestId);
    const inTime = await settledWithin(givenBack, this.#patience.answerWithinMs, this.#options.clock);
    if (cancelled.answer === 'cancelled' && cancelled.was === 'granted' && !(inTime && answered))
      await this.#giveBack(request, await this.#acquire({ ...request, waitMs: 0 }));
    return { answer: 'withdrawn' };
  }

  async #withdraw(request: AcquireRequest): Promise<void> {
    const cancelled = await this.cancel(request.requestId);
    if (cancelled.answer === 'cancelled' && cancelled.was === 'granted')
      await this.#giveBack(request, await this.#acquire({ ...request, waitMs: 0 }));
  }

  /** Under the id of the request itself: however often it comes to this, it happens once. */
  async #giveBack({ requestId }: AcquireRequest, acquired: Acquired): Promise<void> {
    if (acquired.answer !== 'granted') return;
    await this.settle(acquired.grant.grantId, { returned: acquired.grant.calls, requestId });
  }

  /** Says something until it is heard and decided, at most so often. */
  async #persist<A extends { readonly answer: string }>(
    subject: string,
    body: () => object,
    maxTries = this.#patience.maxTries,
  ): Promise<Heard<A>> {
    let retryInMs = SILENT_RETRY_MS;
    for (let tries = 1; ; tries += 1) {
      const heard = await this.#transport.ask(subject, body(), this.#patience.answerWithinMs);
      if (heard.heard === 'forbidden') return notPermitted(heard.message) as unknown as Heard<A>;
      const told = heard.heard === 'answer' && isUndecided(heard.answer) ? toldWaitMs(heard.answer) : null;
      if (heard.heard === 'answer' && !isUndecided(heard.answer))
        return (isRecord(heard.answer) ? heard.answer : UNREADABLE) as unknown as Heard<A>;
      retryInMs = told ?? SILENT_RETRY_MS;
      if (tries >= maxTries) return { answer: 'silent', retryInMs };
      await this.#options.clock.sleep(Math.min(told ?? this.#backoffMs(tries), this.#patience.retry.mostMs));
    }
  }

  #backoffMs(failures: number): number {
    return backoffMs(failures, this.#patience.retry, this.#options.random?.() ?? 0);
  }

  #subject(verb: QuotaVerb): string {
    return subjects.quota(this.#options.account, this.#options.integration, verb);
  }
}

const UNREADABLE: Rejected = {
  answer: 'rejected',
  code: 'unreadable_answer',
  message: 'the ledger gave an answer of no known sort',
};

function notPermitted(message: string): Rejected {
  return { answer: 'rejected', code: 'not_permitted', message };
}

function abortOf(signal: AbortSignal): { readonly happened: Promise<'aborted'>; forget(): void } {
  let listener = (): void => undefined;
  const happened = new Promise<'aborted'>((resolve) => {
    listener = () => resolve('aborted');
    signal.addEventListener('abort', listener, { once: true });
  });
  return { happened, forget: () => signal.removeEventListener('abort', listener) };
}
