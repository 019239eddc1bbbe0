import type { Clock } from '#clock';

/** How far the database's clock is ahead of this process's monotonic one: at least and at most, ms. */
interface Offset {
  readonly atLeast: number;
  readonly atMost: number;
}

/**
 * The database's clock as it is known between its answers: what it said, carried on by this process's monotonic clock. It is
 * at most as much behind as the quickest answer took, never ahead, and never runs backwards, whatever is set back meanwhile.
 */
export class LedgerClock {
  private offset: Offset | null = null;
  private lastMs = 0;

  constructor(private readonly clock: Clock) {}

  /** The database said `nowMs` in answer to what was asked at `askedMonoMs`; call it when the answer has come. */
  note(nowMs: number, askedMonoMs: number): void {
    const told = { atLeast: nowMs - this.clock.monotonicMs(), atMost: nowMs - askedMonoMs };
    const known = this.offset;
    const disagree = known === null || told.atMost < known.atLeast - 1 || told.atLeast > known.atMost + 1;
    // Where the two exclude each other, one of the clocks was set, or drifted: the newest answer counts.
    this.offset = disagree
      ? told
      : { atLeast: Math.max(told.atLeast, known.atLeast), atMost: Math.min(told.atMost, known.atMost) };
  }

  /** Nothing earlier is told from now on. */
  notBefore(leastMs: number): void {
    this.lastMs = Math.max(this.lastMs, leastMs);
  }

  /** Epoch ms, whole. */
  nowMs(): number {
    const told = this.offset === null ? 0 : Math.floor(this.clock.monotonicMs() + this.offset.atLeast);
    this.lastMs = Math.max(this.lastMs, told);
    return this.lastMs;
  }
}
