const DAY_MS = 86_400_000;

/**
 * The simulated clock: `speed` times as fast as the real one. It is real time × speed, less a whole number of days, so
 * that windows of the simulated clock are windows of `length / speed` of the real epoch, and simulated dates begin
 * less than a day before the real one. At speed 1 it is the real clock.
 */
export class ScaledClock {
  readonly behindMs: number;

  constructor(
    readonly speed: number,
    private readonly realNowMs: () => number = Date.now,
  ) {
    this.behindMs = Math.ceil((realNowMs() * (speed - 1)) / DAY_MS) * DAY_MS;
  }

  /** The simulated instant, epoch milliseconds. */
  nowMs(): number {
    return this.realNowMs() * this.speed - this.behindMs;
  }

  /** How long a simulated span takes for real, in milliseconds. */
  realMs(simulatedMs: number): number {
    return simulatedMs / this.speed;
  }
}
