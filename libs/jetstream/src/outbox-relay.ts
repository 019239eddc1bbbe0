import { backoffMs, type Clock, systemClock } from '#clock';
import { type Log, silentLog } from '#telemetry';
import type { StreamPublisher } from './stream-publisher.js';

/** One message that a service stored together with the change it tells of. */
export interface OutboxRow {
  /** The outbox's own key, in the order of writing. */
  readonly id: number;
  readonly subject: string;
  /** What the stream deduplicates by; the same at every attempt. */
  readonly msgId: string;
  readonly data: Uint8Array;
}

export interface OutboxRelayOptions {
  /** The oldest unpublished rows, at most `limit`, oldest first. */
  readonly take: (limit: number) => Promise<readonly OutboxRow[]>;
  /** Makes sure that these are not taken again. */
  readonly markPublished: (ids: readonly number[]) => Promise<void>;
  readonly publisher: Pick<StreamPublisher, 'publish'>;
  /** Most rows under way at once; default 256. */
  readonly maxBatch?: number;
  /** How often to look when nobody calls `wake`; default 1 s. */
  readonly pollMs?: number;
  readonly log?: Log;
  readonly clock?: Clock;
}

const BATCH_ROWS = 256;
const POLL_MS = 1_000;
const RETRY: { readonly firstMs: number; readonly mostMs: number } = { firstMs: 200, mostMs: 10_000 };

/**
 * Carries rows of an outbox table to a stream, at least once each, in the table's order as long as nothing fails (what fails
 * is published again later, behind its successors). Runs until stopped, through outages of either side.
 */
export class OutboxRelay {
  readonly #options: OutboxRelayOptions;
  readonly #log: Log;
  readonly #stopping = new AbortController();
  #wakened = new AbortController();
  #running: Promise<void> | null = null;
  #trouble: string | null = null;

  constructor(options: OutboxRelayOptions) {
    this.#options = options;
    this.#log = options.log ?? silentLog;
  }

  start(): void {
    this.#running ??= this.#run(this.#options.clock ?? systemClock);
  }

  /** Call after a commit that wrote rows: they go at once instead of at the next poll. */
  wake(): void {
    this.#wakened.abort();
  }

  /** For `/health/ready`: null while rows get through, else why not. */
  check(): string | null {
    return this.#trouble;
  }

  /** Waits for the rows under way; the rest stays in the table. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.wake();
    await this.#running;
  }

  async #run(clock: Clock): Promise<void> {
    const stopping = this.#stopping.signal;
    let failures = 0;
    while (!stopping.aborted) {
      const wakened = (this.#wakened = new AbortController());
      try {
        const more = await this.#relayBatch();
        failures = 0;
        this.#trouble = null;
        if (more) continue;
        await clock.sleep(this.#options.pollMs ?? POLL_MS, wakened.signal).catch(() => null);
      } catch (error) {
        failures += 1;
        const retryInMs = backoffMs(failures, RETRY);
        this.#trouble = `the outbox is not getting through: ${(error as Error).message}`;
        if (failures === 1) this.#log.warn('outbox is not getting through', { error, retryInMs });
        await clock.sleep(retryInMs, stopping).catch(() => null);
      }
    }
  }

  /** True where there may be more. Rejects with the first failure, after marking what did get through. */
  async #relayBatch(): Promise<boolean> {
    const { take, markPublished, publisher, maxBatch = BATCH_ROWS } = this.#options;
    const rows = await take(maxBatch);
    if (rows.length === 0) return false;
    const sent = await Promise.allSettled(
      rows.map(({ subject, data, msgId }) => publisher.publish(subject, data, msgId)),
    );
    const through = rows.filter((_, i) => sent[i]?.status === 'fulfilled').map(({ id }) => id);
    if (through.length > 0) await markPublished(through);
    const failed = sent.find((one) => one.status === 'rejected');
    if (failed) throw failed.reason;
    return rows.length === maxBatch;
  }
}
