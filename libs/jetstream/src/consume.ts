import type { ConsumerMessages, JsMsg } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { type Backoff, backoffMs, type Clock, systemClock } from '#clock';
import { type StreamName, subjects } from '#contracts';
import type { Log } from '#telemetry';
import { ensureConsumer } from './ensure-consumer.js';
import type { Disposition } from './disposition.js';
import type { StreamPublisher } from './stream-publisher.js';

/** One message handed to a handler. */
export interface Delivered {
  readonly subject: string;
  readonly data: Uint8Array;
  /** Position in the stream. */
  readonly sequence: number;
  /** 1 the first time it is delivered. */
  readonly deliveryCount: number;
  /** When the stream stored it, epoch ms. */
  readonly storedAt: number;
  /** A header's value; null where it has none of that name. */
  header(name: string): string | null;
}

export interface ConsumeOptions {
  readonly nc: NatsConnection;
  readonly stream: StreamName;
  /** The consumer's name at the server; replicas share one, and its messages. */
  readonly durable: string;
  /** Only subjects matching this; default all of the stream. */
  readonly filterSubject?: string;
  /** Most messages handed over at once. */
  readonly maxBatch: number;
  /** Longest wait for a batch to fill, from its first message. */
  readonly maxWaitMs: number;
  /** After this without sign of life JetStream delivers again. Long handlers are kept alive; at least 1 s. */
  readonly ackWaitMs: number;
  /** Most messages delivered to all replicas together and not acknowledged; default 16 batches, at least 1024. */
  readonly maxAckPending?: number;
  /**
   * One disposition per message, in the same order. One batch at a time, in the stream's order apart from redeliveries.
   * Rejecting = `retryAfter` for the whole batch, with growing delays.
   */
  readonly handle: (batch: readonly Delivered[]) => Promise<readonly Disposition[]>;
  /** Publishes dead letters to `deadletters.v1.<durable>` (DEAD_LETTERS must be declared; permissions name the service, so be the durable named like it). */
  readonly deadLetters: Pick<StreamPublisher, 'publish'>;
  readonly log: Log;
  readonly clock?: Clock;
}

export interface Consumption {
  /** Stops asking for messages, waits for the batch under way, gives back what was fetched beyond it. */
  stop(): Promise<void>;
  /** For `/health/ready`: null while messages can be had, else why not. */
  check(): string | null;
}

/** Batches held ready beside the one being handled. */
const PREFETCH_BATCHES = 2;
/** One request for messages stays open this long; the next follows at once. */
const PULL_EXPIRES_MS = 30_000;
/** The server says this often that an idle request still stands; two missed ones end it. */
const PULL_HEARTBEAT_MS = 5_000;
/** Waits between attempts while stream or server are away. */
const ABSENCE: Backoff = { firstMs: 250, mostMs: 5_000 };
/** Waits before a batch whose handler failed is delivered again. */
const FAILURE: Backoff = { firstMs: 500, mostMs: 30_000 };
/** Before a dead letter that could not be published is tried again. */
const DEAD_LETTER_RETRY_MS = 5_000;
/** Signs of life per `ackWaitMs`, for everything held. */
const SIGNS_PER_ACK_WAIT = 3;

/**
 * Hands a stream's messages to `handle` in batches, as a durable pull consumer with explicit acknowledgement, which it
 * creates or adapts. Starts at once and runs until `stop`, through outages: while the stream or the server is away it tries
 * again with growing waits and says so in the log.
 */
export function consume(options: ConsumeOptions): Consumption {
  return new RunningConsumption(options);
}

class RunningConsumption implements Consumption {
  readonly #options: ConsumeOptions;
  readonly #clock: Clock;
  readonly #stopping = new AbortController();
  /** Delivered, not yet handed over, in order. */
  readonly #ready: JsMsg[] = [];
  #handling: readonly JsMsg[] = [];
  #pull: ConsumerMessages | null = null;
  #trouble: string | null = 'not consuming yet';
  #failures = 0;
  readonly #arrived = new Signal();
  readonly #room = new Signal();
  readonly #loops: Promise<unknown>;
  readonly #signsOfLife: NodeJS.Timeout;

  constructor(options: ConsumeOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#signsOfLife = setInterval(() => this.#sayWorking(), options.ackWaitMs / SIGNS_PER_ACK_WAIT).unref();
    this.#loops = Promise.all([this.#fetchLoop(), this.#handleLoop()]);
  }

  check(): string | null {
    return this.#trouble;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#pull?.stop();
    this.#arrived.fire();
    this.#room.fire();
    await this.#loops;
    clearInterval(this.#signsOfLife);
    const { nc } = this.#options;
    if (nc.isClosed()) return;
    // Given back at once instead of after `ackWaitMs`.
    for (const msg of this.#ready.splice(0)) msg.nak();
  }

  #sayWorking(): void {
    if (this.#options.nc.isClosed()) return;
    for (const msg of this.#handling) msg.working();
    for (const msg of this.#ready) msg.working();
  }

  async #fetchLoop(): Promise<void> {
    const { stream, durable, log, nc } = this.#options;
    const stopping = this.#stopping.signal;
    let failures = 0;
    while (!stopping.aborted && !nc.isClosed()) {
      try {
        const consumer = await ensureConsumer(this.#options);
        if (failures > 0) log.info('consuming again', { stream, durable });
        failures = 0;
        this.#trouble = null;
        while (!stopping.aborted) await this.#fetch(await consumer.fetch(this.#nextPull()));
      } catch (error) {
        if (stopping.aborted) return;
        failures += 1;
        const retryInMs = backoffMs(failures, ABSENCE);
        this.#trouble = `${stream} can't be consumed: ${(error as Error).message}`;
        if (failures === 1) log.warn("can't consume for now; trying again", { stream, durable, error, retryInMs });
        await this.#clock.sleep(retryInMs, stopping).catch(() => undefined);
      }
    }
  }

  #nextPull(): { max_messages: number; expires: number; idle_heartbeat: number } {
    const most = this.#options.maxBatch * PREFETCH_BATCHES - this.#ready.length;
    return { max_messages: most, expires: PULL_EXPIRES_MS, idle_heartbeat: PULL_HEARTBEAT_MS };
  }

  /** Takes in what one request brings, then waits until there is room for another. */
  async #fetch(messages: ConsumerMessages): Promise<void> {
    this.#pull = messages;
    if (this.#stopping.signal.aborted) messages.stop();
    for await (const msg of messages) {
      this.#ready.push(msg);
      this.#arrived.fire();
    }
    this.#pull = null;
    while (this.#ready.length >= this.#options.maxBatch && !this.#stopping.signal.aborted) await this.#room.wait();
  }

  async #handleLoop(): Promise<void> {
    for (;;) {
      const batch = await this.#nextBatch();
      if (batch.length === 0) return;
      this.#handling = batch;
      await this.#handle(batch);
      this.#handling = [];
    }
  }

  /** Empty only when stopping. */
  async #nextBatch(): Promise<readonly JsMsg[]> {
    const { maxBatch, maxWaitMs } = this.#options;
    const stopping = this.#stopping.signal;
    while (this.#ready.length === 0 && !stopping.aborted) await this.#arrived.wait();
    if (stopping.aborted) return [];
    if (this.#ready.length < maxBatch && maxWaitMs > 0) await this.#fill(maxBatch, maxWaitMs);
    if (stopping.aborted) return [];
    const batch = this.#ready.splice(0, maxBatch);
    this.#room.fire();
    return batch;
  }

  /** Until `maxBatch` messages are ready, `maxWaitMs` have passed, or it is to stop. */
  async #fill(maxBatch: number, maxWaitMs: number): Promise<void> {
    const over = new AbortController();
    const timer = this.#clock.sleep(maxWaitMs, over.signal).then(
      () => true,
      () => true,
    );
    let late = false;
    while (!late && this.#ready.length < maxBatch && !this.#stopping.signal.aborted)
      late = await Promise.race([timer, this.#arrived.wait().then(() => false)]);
    over.abort();
  }

  async #handle(batch: readonly JsMsg[]): Promise<void> {
    const { handle, stream, durable, log } = this.#options;
    let dispositions: readonly Disposition[];
    try {
      dispositions = await handle(batch.map(deliveredOf));
      if (dispositions.length !== batch.length)
        throw new TypeError(`the handler answered ${dispositions.length} dispositions for ${batch.length} messages`);
      this.#failures = 0;
    } catch (error) {
      this.#failures += 1;
      const retryInMs = backoffMs(this.#failures, FAILURE);
      log.error('a batch failed and will be delivered again', {
        stream,
        durable,
        messages: batch.length,
        retryInMs,
        error,
      });
      for (const msg of batch) msg.nak(retryInMs);
      return;
    }
    const done: Promise<void>[] = [];
    for (const [i, msg] of batch.entries()) {
      const disposition = dispositions[i] as Disposition;
      if (disposition.kind === 'ack') msg.ack();
      else done.push(this.#dispose(msg, disposition));
    }
    if (done.length > 0) await Promise.all(done);
  }

  async #dispose(msg: JsMsg, disposition: Disposition): Promise<void> {
    switch (disposition.kind) {
      case 'ack':
        msg.ack();
        return;
      case 'retryAfter':
        msg.nak(Math.max(1, Math.round(disposition.delayMs)));
        return;
      case 'deadLetter':
        await this.#putAside(msg, disposition.reason);
        return;
      default:
        disposition satisfies never;
    }
  }

  /** Ends the message only after its copy is stored. */
  async #putAside(msg: JsMsg, reason: string): Promise<void> {
    const { deadLetters, durable, stream, log } = this.#options;
    const sequence = String(msg.seq);
    try {
      await deadLetters.publish(subjects.deadLetter(durable), msg.data, `${durable}:${stream}:${sequence}`, {
        'Sluice-Stream': stream,
        'Sluice-Sequence': sequence,
        'Sluice-Subject': msg.subject,
        'Sluice-Reason': reason.replaceAll(/[\r\n]+/g, ' ').slice(0, REASON_LIMIT_CHARS),
      });
    } catch (error) {
      log.error('a dead letter could not be stored yet', { stream, durable, sequence, error });
      msg.nak(DEAD_LETTER_RETRY_MS);
      return;
    }
    log.warn('a message was put aside', { stream, durable, sequence, reason });
    // Without a reason: servers before 2.10 don't take `+TERM <reason>` as a term at all.
    msg.term();
  }
}

/** Longest reason kept in a dead letter's headers. */
const REASON_LIMIT_CHARS = 500;
const NANOS_PER_MS = 1_000_000;

function deliveredOf(msg: JsMsg): Delivered {
  const { streamSequence, deliveryCount, timestampNanos } = msg.info;
  return {
    subject: msg.subject,
    data: msg.data,
    sequence: streamSequence,
    deliveryCount,
    storedAt: Math.floor(timestampNanos / NANOS_PER_MS),
    header: (name) => (msg.headers?.has(name) ? msg.headers.get(name) : null),
  };
}

/** Wakes everyone who waits at that moment. */
class Signal {
  #waiters: (() => void)[] = [];

  wait(): Promise<void> {
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  fire(): void {
    for (const waiter of this.#waiters.splice(0)) waiter();
  }
}
