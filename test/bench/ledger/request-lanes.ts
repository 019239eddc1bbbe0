import type { Msg, NatsConnection } from '@nats-io/transport-node';

/** A request on its way out. */
export interface Ask {
  readonly subject: string;
  readonly body: string;
}

/** What a lane does next: told its lane and the answer to its last request (null at first), gives the next one; null = done. */
export type Step = (lane: number, answer: Msg | null) => Ask | null;

export interface LaneTimes {
  readonly tookMs: number;
  /** From the request's hand-over to the client until its answer is handed back, one for each request. */
  readonly latenciesMs: readonly number[];
}

/** How a request is sent: each by the client's own `request`, as integrations do, or by lanes' numbers, as below. */
export type Requests = 'lean' | 'client';

/** No answer to anything for so long: something is broken, and no rate means anything. */
const SILENCE_LIMIT_MS = 15_000;

/**
 * NATS request/reply as the client's own `request` does it (one subscription for all answers), with a number per lane
 * for a token, and without a promise, a timer and a random token per request: what a sender spends is taken from the server
 * that is measured, on the same cores.
 */
export class RequestLanes {
  readonly #prefix: string;
  readonly #replyTo: { reply: string }[] = [];
  #onAnswer: (lane: number, msg: Msg) => void = () => undefined;
  #fail: (error: Error) => void = () => undefined;

  constructor(
    private readonly nc: NatsConnection,
    inbox: string,
  ) {
    this.#prefix = `${inbox}.`;
    nc.subscribe(`${this.#prefix}*`, {
      callback: (error, msg) => {
        if (error) this.#fail(error);
        else this.#onAnswer(Number(msg.subject.slice(this.#prefix.length)), msg);
      },
    });
  }

  /** Runs so many lanes at once, each with one request on its way, until all are done. Rejects where a step throws. */
  async run(
    lanes: number,
    step: Step,
    { requests = 'client', signal }: { readonly requests?: Requests | undefined; readonly signal: AbortSignal },
  ): Promise<LaneTimes> {
    for (let lane = this.#replyTo.length; lane < lanes; lane += 1)
      this.#replyTo.push({ reply: `${this.#prefix}${lane}` });
    const latenciesMs: number[] = [];
    const sentAtMs = new Float64Array(lanes);
    const startedMs = performance.now();
    let going = lanes;
    let answered = 0;
    let failed = false;
    await new Promise<void>((resolve, reject) => {
      const end = (settle: () => void): void => {
        failed = true;
        clearInterval(watch);
        signal.removeEventListener('abort', aborted);
        settle();
      };
      this.#fail = (error) => end(() => reject(error));
      const aborted = (): void => this.#fail(signal.reason as Error);
      let seen = -1;
      const watch = setInterval(() => {
        if (answered === seen) this.#fail(new Error(`no answer within ${SILENCE_LIMIT_MS} ms`));
        seen = answered;
      }, SILENCE_LIMIT_MS);
      const goOn = (lane: number, answer: Msg | null): void => {
        const ask = step(lane, answer);
        if (ask !== null) {
          sentAtMs[lane] = performance.now();
          if (requests === 'lean') this.nc.publish(ask.subject, ask.body, this.#replyTo[lane]!);
          else this.#request(lane, ask);
          return;
        }
        going -= 1;
        if (going === 0) end(resolve);
      };
      this.#onAnswer = (lane, msg) => {
        if (failed) return;
        latenciesMs.push(performance.now() - sentAtMs[lane]!);
        answered += 1;
        try {
          goOn(lane, msg);
        } catch (error) {
          this.#fail(error as Error);
        }
      };
      signal.addEventListener('abort', aborted);
      for (let lane = 0; lane < lanes; lane += 1) goOn(lane, null);
    });
    return { tookMs: performance.now() - startedMs, latenciesMs };
  }
  #request(lane: number, { subject, body }: Ask): void {
    this.nc.request(subject, body, { timeout: SILENCE_LIMIT_MS }).then(
      (msg) => this.#onAnswer(lane, msg),
      (error: unknown) => this.#fail(error as Error),
    );
  }
}
