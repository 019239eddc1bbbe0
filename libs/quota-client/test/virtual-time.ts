import type { Clock } from '#clock';

interface Timer {
  readonly atMs: number;
  readonly order: number;
  readonly fire: () => void;
}

/** A clock that stands still until everybody waits for it, and then goes to the next instant that somebody waits for. */
export class VirtualTime {
  #nowMs = 0;
  #order = 0;
  #timers: Timer[] = [];

  get nowMs(): number {
    return this.#nowMs;
  }

  /** This time as one machine sees it: its monotonic clock began elsewhere. */
  clock(offsetMs = 0): Clock {
    return {
      nowMs: () => Math.round(this.#nowMs + offsetMs),
      monotonicMs: () => this.#nowMs + offsetMs,
      sleep: (ms, signal) => this.#sleep(ms, signal),
    };
  }

  /** Calls back after so long; without anybody waiting for it. */
  after(ms: number, fire: () => void): void {
    this.#timers.push({ atMs: this.#nowMs + Math.max(0, ms), order: (this.#order += 1), fire });
  }

  /** Lets time pass until the work is done; fails where it waits for something that never comes, or longer than bound. */
  async run<T>(work: Promise<T>, boundMs = 3_600_000): Promise<T> {
    let isDone = false;
    const done = work.finally(() => (isDone = true));
    done.catch(() => undefined);
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      if (isDone) return done;
      this.#step(boundMs);
    }
  }

  /** Lets so much time pass. */
  async pass(ms: number): Promise<void> {
    await this.run(new Promise<void>((resolve) => this.after(ms, resolve)));
  }

  #step(boundMs: number): void {
    this.#timers.sort((a, b) => a.atMs - b.atMs || a.order - b.order);
    const next = this.#timers.shift();
    if (!next) throw new Error('everybody waits, and nobody for the time');
    if (next.atMs > boundMs) throw new Error(`not done within ${boundMs} ms`);
    this.#nowMs = Math.max(this.#nowMs, next.atMs);
    next.fire();
  }

  #sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason as Error);
        return;
      }
      this.after(ms, resolve);
      signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    });
  }
}
