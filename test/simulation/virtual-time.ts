import type { Clock } from '#clock';
import { emptySchedule, type Schedule } from '../../apps/zendesk-simulator/src/domain/schedule.js';

/** Turns of the real event loop without any sign of life after which what is outside is taken to wait for virtual time. */
const QUIET_TURNS = 4;

/**
 * Time that stands still while anybody computes and then jumps to the next instant that somebody waits for. One queue holds all that
 * is to happen, in order of time, then of entry; between two entries every promise that can settle has settled. So a day passes in
 * as long as its computing takes, and the same seed gives the same day.
 */
export class VirtualTime {
  /** This time, as everything real in the world is handed it. */
  readonly clock: Clock;
  readonly #queue: Schedule = emptySchedule();
  #nowMs: number;
  #outside = 0;
  #signs = 0;
  /** Entries that happened; those whose waiter had gone before aren't counted. */
  happened = 0;

  constructor(private readonly startMs: number) {
    this.#nowMs = startMs;
    this.clock = {
      nowMs: () => Math.floor(this.#nowMs),
      monotonicMs: () => this.#nowMs - this.startMs,
      sleep: (ms, signal) => this.#sleep(ms, signal),
    };
  }

  /** Epoch ms, with fractions. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Has something happen at an instant, or now where that is past. */
  at(atMs: number, happen: () => void): void {
    this.#queue.at(Math.max(atMs, this.#nowMs), () => {
      this.happened += 1;
      happen();
    });
  }

  /** Work that needs turns of the real event loop, as `setImmediate` does: time waits for it as long as it shows signs of life. */
  async outside<T>(work: Promise<T>): Promise<T> {
    this.#outside += 1;
    this.#signs += 1;
    try {
      return await work;
    } finally {
      this.#outside -= 1;
      this.#signs += 1;
    }
  }

  /** Lets happen what falls up to an instant, or until it is enough. */
  async runUntil(untilMs: number, isEnough: () => boolean = () => false): Promise<void> {
    await this.#settled();
    while (this.#queue.nextAtMs() <= untilMs && !isEnough()) {
      this.#nowMs = Math.max(this.#nowMs, this.#queue.nextAtMs());
      const before = this.happened;
      this.#queue.runNext();
      if (this.happened > before) await this.#settled();
    }
    if (!isEnough()) this.#nowMs = Math.max(this.#nowMs, untilMs);
  }

  /** One turn of the event loop runs every microtask; more are needed only for what is outside. */
  async #settled(): Promise<void> {
    await turn();
    let seen = this.#signs;
    for (let quiet = 0; this.#outside > 0 && quiet < QUIET_TURNS; quiet += 1) {
      await turn();
      if (this.#signs === seen) continue;
      seen = this.#signs;
      quiet = -1;
    }
  }

  #sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.reject(signal.reason as Error);
    if (ms <= 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      let isOver = false;
      const gone = (): void => {
        isOver = true;
        reject(signal?.reason as Error);
      };
      signal?.addEventListener('abort', gone, { once: true });
      this.#queue.at(this.#nowMs + ms, () => {
        if (isOver) return;
        this.happened += 1;
        signal?.removeEventListener('abort', gone);
        resolve();
      });
    });
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
