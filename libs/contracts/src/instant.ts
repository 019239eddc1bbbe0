/** An instant as ISO 8601 in UTC with milliseconds, the way it travels and is logged. */
export function isoOf(epochMs: number): string {
  return new Date(epochMs).toISOString();
}

/** The instant (epoch ms) that an ISO 8601 text names; null where it names none. */
export function instantOf(value: unknown): number | null {
  if (typeof value !== 'string') return null;
  const epochMs = Date.parse(value);
  return Number.isNaN(epochMs) ? null : epochMs;
}
