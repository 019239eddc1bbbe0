/** How a bench is asked to run. */
export interface BenchOptions {
  /** A few seconds instead of a good measurement: to see that it works. */
  readonly quick: boolean;
  /** Progress for people, line by line, on standard error. */
  readonly say: (line: string) => void;
  /** Aborted when a signal asks to end: stop what was started, then return or throw. */
  readonly signal: AbortSignal;
  /** What was given for the bench's own options, by name. */
  readonly given: Readonly<Record<string, string | undefined>>;
}

/** Options of one bench alone, all with a value; it exports them as `options`. */
export type OwnOptions = Readonly<Record<string, { readonly type: 'string' }>>;

/** What was measured: numbers and plain facts under stable names. */
export type BenchResult = Readonly<Record<string, unknown>>;

/** Every `<name>.bench.ts` exports this as `run`. */
export type RunBench = (options: BenchOptions) => Promise<BenchResult>;

/** The value in the middle; of an even number, the lower of the two. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN;
}
