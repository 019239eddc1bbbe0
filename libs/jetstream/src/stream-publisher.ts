import { createInbox, errors, type Msg, type NatsConnection, type Subscription } from '@nats-io/transport-node';
import { type ConnectionState, connectionState } from './connection-state.js';
import { publishHeaders } from './publish-headers.js';

/** What JetStream said of a stored message. */
export interface Published {
  /** True where the stream already had a message of that id (within its duplicate window). */
  readonly duplicate: boolean;
  /** Sequence in the stream; of a duplicate, the first one's. */
  readonly sequence: number;
}

export type UnavailableReason = 'disconnected' | 'timeout' | 'no_stream' | 'overloaded' | 'refused' | 'closed';

/**
 * The message may or may not be stored: publish it again with the **same** message id after `retryInMs`.
 * `no_stream`: nobody holds that subject (JetStream away or stream not declared). `overloaded`: more than
 * `maxInFlight` messages wait already; nothing was sent. `refused`: JetStream answered with an error.
 */
export class StreamUnavailable extends Error {
  readonly code = 'stream_unavailable';
  readonly retryInMs: number;
  constructor(
    readonly reason: UnavailableReason,
    message: string,
    retryInMs = RETRY_MS,
  ) {
    super(message);
    this.name = 'StreamUnavailable';
    this.retryInMs = retryInMs;
  }
}

/** The stream holds as much as it may: nothing was stored, and nothing will be until it is emptied or enlarged. */
export class StreamFull extends Error {
  readonly code = 'stream_full';
  readonly retryInMs = FULL_RETRY_MS;
  constructor(detail: string) {
    super(`the stream is full: ${detail}`);
    this.name = 'StreamFull';
  }
}

export interface StreamPublisherOptions {
  /** Longest wait for one acknowledgement; default 5 s. */
  readonly ackTimeoutMs?: number;
  /** Most messages waiting for their acknowledgement; beyond it `publish` rejects at once. Default 4096. */
  readonly maxInFlight?: number;
}

const RETRY_MS = 1_000;
const FULL_RETRY_MS = 10_000;
const ACK_LIMIT_MS = 5_000;
const IN_FLIGHT_LIMIT = 4_096;
/** Time-outs are looked for this often rather than by one timer per message. */
const SWEEP_MS = 250;

/** JetStream API error codes that mean "full" (its errors.json): store failed on a limit, resources or account limits exceeded. */
const FULL_CODES: ReadonlySet<number> = new Set([10_002, 10_023, 10_028, 10_047, 10_077]);

interface Waiting {
  readonly subject: string;
  readonly resolve: (published: Published) => void;
  readonly reject: (error: Error) => void;
  readonly untilMs: number;
}

/**
 * Publishes to streams and waits for the acknowledgement, with one subscription for all answers and no timer, trace or
 * retry per message. One per connection serves any number of callers and streams.
 */
export class StreamPublisher {
  readonly #nc: NatsConnection;
  readonly #state: ConnectionState;
  readonly #ackTimeoutMs: number;
  readonly #maxInFlight: number;
  readonly #waiting = new Map<string, Waiting>();
  readonly #inbox: string;
  readonly #subscription: Subscription;
  readonly #forget: () => void;
  readonly #sweep: NodeJS.Timeout;
  #count = 0;
  #closed = false;

  constructor(nc: NatsConnection, options: StreamPublisherOptions = {}) {
    this.#nc = nc;
    this.#ackTimeoutMs = options.ackTimeoutMs ?? ACK_LIMIT_MS;
    this.#maxInFlight = options.maxInFlight ?? IN_FLIGHT_LIMIT;
    this.#inbox = `${createInbox(inboxPrefixOf(nc))}.`;
    this.#subscription = nc.subscribe(`${this.#inbox}*`, { callback: (error, msg) => this.#answered(error, msg) });
    const state = (this.#state = connectionState(nc));
    const forgetLoss = state.onDisconnect(() =>
      this.#failAll(() => true, new StreamUnavailable('disconnected', 'the connection to NATS was lost')),
    );
    const forgetErrors = state.onError((error) => this.#refused(error));
    this.#forget = () => {
      forgetLoss();
      forgetErrors();
    };
    this.#sweep = setInterval(() => this.#timeOut(), SWEEP_MS).unref();
  }

  /** Messages waiting for their acknowledgement. */
  get inFlight(): number {
    return this.#waiting.size;
  }

  /**
   * Stores one message; resolves once JetStream has acknowledged it. `msgId` is what the stream deduplicates by: begin it with the account.
   *
   * @throws StreamUnavailable, StreamFull; InvalidArgumentError of the client where it is larger than the server allows
   */
  publish(
    subject: string,
    data: Uint8Array,
    msgId: string,
    headers?: Readonly<Record<string, string>>,
  ): Promise<Published> {
    if (this.#closed) return Promise.reject(new StreamUnavailable('closed', 'this publisher is closed'));
    if (!this.#state.connected) return Promise.reject(new StreamUnavailable('disconnected', 'not connected to NATS'));
    if (this.#waiting.size >= this.#maxInFlight)
      return Promise.reject(
        new StreamUnavailable('overloaded', `${this.#maxInFlight} messages wait for their acknowledgement already`),
      );
    return new Promise((resolve, reject) => {
      const token = (this.#count++).toString(36);
      this.#waiting.set(token, { subject, resolve, reject, untilMs: performance.now() + this.#ackTimeoutMs });
      try {
        this.#nc.publish(subject, data, { reply: this.#inbox + token, headers: publishHeaders(msgId, headers) });
      } catch (error) {
        this.#waiting.delete(token);
        reject(error as Error);
      }
    });
  }

  /** Rejects what still waits and stops listening for answers. The connection stays open. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#sweep);
    this.#forget();
    this.#subscription.unsubscribe();
    this.#failAll(() => true, new StreamUnavailable('closed', 'this publisher was closed'));
  }

  #answered(error: Error | null, msg: Msg): void {
    if (error) {
      this.#failAll(() => true, new StreamUnavailable('refused', `answers can't be received: ${error.message}`));
      return;
    }
    const token = msg.subject.slice(this.#inbox.length);
    const waiting = this.#waiting.get(token);
    if (!waiting) return;
    this.#waiting.delete(token);
    const answer = answerOf(msg);
    if (answer instanceof Error) waiting.reject(answer);
    else waiting.resolve(answer);
  }

  #timeOut(): void {
    const nowMs = performance.now();
    // Oldest first: a Map keeps the order of insertion, and all have the same time-out.
    for (const [token, waiting] of this.#waiting) {
      if (waiting.untilMs > nowMs) return;
      this.#waiting.delete(token);
      waiting.reject(new StreamUnavailable('timeout', `no acknowledgement within ${this.#ackTimeoutMs} ms`));
    }
  }

  /** The server doesn't answer what it forbids; it only names the subject, once for each message. */
  #refused(error: Error): void {
    if (!(error instanceof errors.PermissionViolationError) || error.operation !== 'publish') return;
    this.#failAll(
      ({ subject }) => subject === error.subject,
      new StreamUnavailable('refused', `not permitted to publish to ${error.subject}`),
    );
  }

  #failAll(which: (waiting: Waiting) => boolean, error: StreamUnavailable): void {
    for (const [token, waiting] of this.#waiting) {
      if (!which(waiting)) continue;
      this.#waiting.delete(token);
      waiting.reject(error);
    }
  }
}

/** The connection's own inbox prefix: the server lets a user listen under no other. */
export function inboxPrefixOf(nc: NatsConnection): string | undefined {
  return (nc as unknown as { options?: { inboxPrefix?: string } }).options?.inboxPrefix;
}

interface WireAck {
  readonly seq?: number;
  readonly duplicate?: boolean;
  readonly error?: { readonly code: number; readonly err_code?: number; readonly description?: string };
}

function answerOf(msg: Msg): Published | StreamUnavailable | StreamFull {
  if (msg.data.length === 0) return new StreamUnavailable('no_stream', 'no stream holds this subject');
  let wire: WireAck;
  try {
    wire = JSON.parse(msg.string()) as WireAck;
  } catch {
    return new StreamUnavailable('refused', 'the answer was no acknowledgement of JetStream');
  }
  if (wire.error) {
    const { code, err_code: errorCode = code, description = '' } = wire.error;
    const detail = `${description} (${errorCode})`;
    return FULL_CODES.has(errorCode) ? new StreamFull(detail) : new StreamUnavailable('refused', detail);
  }
  if (typeof wire.seq !== 'number') return new StreamUnavailable('refused', 'the acknowledgement has no sequence');
  return { duplicate: wire.duplicate === true, sequence: wire.seq };
}
