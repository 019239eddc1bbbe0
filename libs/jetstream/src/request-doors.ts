import type { Msg, MsgHdrs, NatsConnection, Subscription } from '@nats-io/transport-node';
import { type Clock, settledWithin, systemClock } from '#clock';
import type { Rejected, Unavailable } from '#contracts';
import { type Log, silentLog } from '#telemetry';
import { connectionState } from './connection-state.js';

/** What a handler can know of a request beside its data. */
export class RequestContext {
  constructor(
    /** The subject it was sent to. */
    readonly subject: string,
    /** Null where the request has none. */
    readonly headers: MsgHdrs | null,
    /** The body as it arrived. */
    readonly raw: Uint8Array,
  ) {}

  /** All parts of the subject: `quota.v1.demo.ccai.acquire` has the account at 2 and the integration at 3. */
  get tokens(): readonly string[] {
    return this.subject.split('.');
  }
}

/** Answers a request's body. What it throws is answered `unavailable`, unless `answerTo` knows better. */
export type RequestHandler = (body: unknown, context: RequestContext) => unknown;

export interface RequestDoorsOptions {
  readonly nc: NatsConnection;
  /** The service's name: of its replicas, one answers each request. Left out = whoever listens answers. */
  readonly queue?: string;
  /** Most requests being answered at once; beyond it they are told to ask again, `overloaded`. Default 1024. */
  readonly maxInFlight?: number;
  /** Larger bodies are rejected as `body_too_large`. Default 1 MiB. */
  readonly maxRequestBytes?: number;
  /** Longest wait, on close, for requests being answered; default 5 s. */
  readonly drainMs?: number;
  /** What a thrown error is answered; null = it is logged, and answered `internal_error`. */
  readonly answerTo?: (error: unknown) => object | null;
  readonly log?: Log;
  readonly clock?: Clock;
}

const IN_FLIGHT_LIMIT = 1_024;
const REQUEST_BYTES_LIMIT = 1_048_576;
const DRAIN_LIMIT_MS = 5_000;
/** When to ask again after what may have passed by then. */
const ASK_AGAIN_MS = 1_000;
/** Where a requester may have its answer: clients' inboxes (`nats-users.ts` in #accounts names them). */
const INBOX_PREFIXES = ['_INBOX.', '_SVC.'];

/**
 * Doors over NATS request/reply, JSON in and JSON out: a body that isn't JSON is answered `{answer: 'rejected', code:
 * 'malformed_json', message}`, a handler's error (logged) `{answer: 'unavailable', code: 'internal_error', message, retryInMs}`,
 * as nobody can tell whether the same request fails again. Handlers run concurrently.
 *
 * The reply subject is the requester's to choose, and the answer is published with this service's permissions: a request
 * that wants its answer anywhere but in an inbox is dropped, or whoever may ask could write wherever the service may.
 */
export class RequestDoors {
  readonly #options: RequestDoorsOptions;
  readonly #log: Log;
  readonly #maxInFlight: number;
  readonly #maxRequestBytes: number;
  readonly #open = new Map<string, Subscription>();
  #inFlight = 0;
  #dropped = 0;
  #idle: (() => void) | null = null;

  constructor(options: RequestDoorsOptions) {
    this.#options = options;
    this.#log = options.log ?? silentLog;
    this.#maxInFlight = options.maxInFlight ?? IN_FLIGHT_LIMIT;
    this.#maxRequestBytes = options.maxRequestBytes ?? REQUEST_BYTES_LIMIT;
  }

  /** Requests being answered. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Requests dropped since the start because their answer was wanted elsewhere than in an inbox. */
  get dropped(): number {
    return this.#dropped;
  }

  isOpen(subject: string): boolean {
    return this.#open.has(subject);
  }

  /** Begins to answer a subject (wildcards allowed). No effect where it is open. */
  open(subject: string, handler: RequestHandler): void {
    if (this.#open.has(subject)) return;
    const { nc, queue } = this.#options;
    const subscription = nc.subscribe(subject, {
      ...(queue === undefined ? {} : { queue }),
      callback: (error, msg) => {
        if (error) this.#log.error('a door is closed by the server', { subject, error });
        else this.#answer(handler, msg);
      },
    });
    this.#open.set(subject, subscription);
  }

  /**
   * Stops answering a subject that `open` was called for; without one stops all, and waits (at most `drainMs`) until what
   * arrived before has been answered. The connection itself stays open.
   */
  async close(subject?: string): Promise<void> {
    const closing = [...this.#open].filter(([open]) => subject === undefined || open === subject);
    for (const [open] of closing) this.#open.delete(open);
    const { nc } = this.#options;
    // Draining asks the server, which may be away: then nothing more can arrive anyway.
    if (nc.isClosed() || !connectionState(nc).connected) {
      for (const [, subscription] of closing) subscription.unsubscribe();
      return;
    }
    await Promise.all(closing.map(([, subscription]) => subscription.drain().catch(() => undefined)));
    if (subject !== undefined) return;
    await this.#drained();
  }

  async #drained(): Promise<void> {
    if (this.#inFlight === 0) return;
    const clock = this.#options.clock ?? systemClock;
    const drainMs = this.#options.drainMs ?? DRAIN_LIMIT_MS;
    const idle = new Promise<void>((resolve) => {
      this.#idle = resolve;
    });
    if (!(await settledWithin(idle, drainMs, clock)))
      this.#log.warn('closed with requests unanswered', { requests: this.#inFlight, drainMs });
  }

  #answer(handler: RequestHandler, msg: Msg): void {
    if (msg.reply && !isInbox(msg.reply)) {
      this.#drop(msg);
      return;
    }
    if (this.#inFlight >= this.#maxInFlight) {
      reply(msg, unavailable('overloaded', `more than ${this.#maxInFlight} requests are being answered`));
      return;
    }
    this.#inFlight += 1;
    let answer: unknown;
    try {
      answer = this.#handle(handler, msg);
    } catch (error) {
      answer = this.#answerTo(error, msg);
    }
    if (!(answer instanceof Promise)) {
      this.#send(msg, answer);
      return;
    }
    answer.then(
      (told: unknown) => this.#send(msg, told),
      (error: unknown) => this.#send(msg, this.#answerTo(error, msg)),
    );
  }

  #send(msg: Msg, answer: unknown): void {
    try {
      if (msg.reply) reply(msg, answer);
    } catch (error) {
      // Larger than the server lets through, or not JSON.
      this.#log.error('an answer could not be sent', { subject: msg.subject, error });
      if (!this.#options.nc.isClosed()) reply(msg, unavailable('internal_error', 'the answer could not be sent'));
    } finally {
      this.#inFlight -= 1;
      if (this.#inFlight === 0) this.#idle?.();
    }
  }

  /** Said once: whoever can send one can send many, and the log is not theirs to fill. */
  #drop({ subject, reply }: Msg): void {
    this.#dropped += 1;
    if (this.#dropped === 1)
      this.#log.warn('a request wants its answer elsewhere than in an inbox; it and all like it are dropped', {
        subject,
        reply,
      });
  }

  /** A value, or a promise of one. */
  #handle(handler: RequestHandler, msg: Msg): unknown {
    const { subject, data } = msg;
    if (data.length > this.#maxRequestBytes)
      return rejected('body_too_large', `the body has ${data.length} bytes, at most ${this.#maxRequestBytes} are read`);
    let body: unknown;
    try {
      body = data.length === 0 ? null : JSON.parse(msg.string());
    } catch {
      return rejected('malformed_json', 'the body is not JSON');
    }
    return handler(body, new RequestContext(subject, msg.headers ?? null, data));
  }

  #answerTo(error: unknown, { subject }: Msg): object {
    const told = this.#options.answerTo?.(error) ?? null;
    if (told) return told;
    this.#log.error('a request failed', { subject, error });
    return unavailable('internal_error', 'the request failed inside; it is logged');
  }
}

function isInbox(subject: string): boolean {
  for (const prefix of INBOX_PREFIXES) if (subject.startsWith(prefix)) return true;
  return false;
}

function reply(msg: Msg, answer: unknown): void {
  msg.respond(JSON.stringify(answer ?? null));
}

function rejected(code: string, message: string): Rejected {
  return { answer: 'rejected', code, message };
}

function unavailable(code: string, message: string): Unavailable {
  return { answer: 'unavailable', code, message, retryInMs: ASK_AGAIN_MS };
}
