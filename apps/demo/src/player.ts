import { Pool } from 'undici';
import type { Clock } from '#clock';
import { ACCOUNT, INGEST_USER } from './accounts.js';
import type { Delivery } from './domain/sample-day.js';

/** What ingest answered, summed up. */
export interface Delivered {
  deliveries: number;
  accepted: number;
  duplicates: number;
  rejected: number;
}

interface IngestAnswer {
  readonly accepted: number;
  readonly duplicates: number;
  readonly rejected: readonly unknown[];
}

const DELIVERIES_IN_FLIGHT_LIMIT = 64;
const ATTEMPTS_LIMIT = 20;
const RETRY_MS = 500;

/**
 * Posts the deliveries to ingest when they are due, as CCAI would; but unlike CCAI, of which no retry is documented, it
 * tries again where ingest says 503, so that what the demo counts as sent has been taken.
 */
export class Player {
  readonly delivered: Delivered = { deliveries: 0, accepted: 0, duplicates: 0, rejected: 0 };
  readonly #pool: Pool;
  readonly #authorization: string;

  constructor(
    ingestUrl: string,
    password: string,
    private readonly clock: Clock,
  ) {
    this.#pool = new Pool(ingestUrl, { connections: DELIVERIES_IN_FLIGHT_LIMIT });
    this.#authorization = `Basic ${Buffer.from(`${INGEST_USER}:${password}`).toString('base64')}`;
  }

  /** Resolves when all are delivered. `atMs` of a delivery counts from now. */
  async play(deliveries: readonly Delivery[], stopping: AbortSignal): Promise<void> {
    const startMs = this.clock.monotonicMs();
    const underWay = new Set<Promise<void>>();
    for (const delivery of deliveries) {
      const dueInMs = startMs + delivery.atMs - this.clock.monotonicMs();
      if (dueInMs > 0) await this.clock.sleep(dueInMs, stopping);
      while (underWay.size >= DELIVERIES_IN_FLIGHT_LIMIT) await Promise.race(underWay);
      const one: Promise<void> = this.#deliver(delivery, stopping).finally(() => underWay.delete(one));
      underWay.add(one);
    }
    await Promise.all(underWay);
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }

  async #deliver({ feed, body }: Delivery, stopping: AbortSignal): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      const { statusCode, body: answer } = await this.#pool.request({
        method: 'POST',
        path: `/v1/${ACCOUNT}/ccai/${feed}`,
        headers: { 'content-type': 'application/json', authorization: this.#authorization },
        body: JSON.stringify(body),
      });
      const text = await answer.text();
      if (statusCode === 202) return this.#count(JSON.parse(text) as IngestAnswer);
      if (statusCode !== 503 || attempt === ATTEMPTS_LIMIT) throw new Error(`ingest answered ${statusCode}: ${text}`);
      await this.clock.sleep(RETRY_MS, stopping);
    }
  }

  #count({ accepted, duplicates, rejected }: IngestAnswer): void {
    this.delivered.deliveries += 1;
    this.delivered.accepted += accepted;
    this.delivered.duplicates += duplicates;
    this.delivered.rejected += rejected.length;
  }
}
