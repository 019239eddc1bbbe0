/**
 * How many examples a property is tried with: few, so that the suite stays quick, and for the long run so many times more as
 * jest is told by `--globals '{"propertyRuns":20}'`.
 */
export function runs(usual: number): number {
  const times = (globalThis as { propertyRuns?: number }).propertyRuns ?? 1;
  return Math.ceil(usual * times);
}
