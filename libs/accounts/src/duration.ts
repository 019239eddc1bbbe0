const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** How durations are written in a file of accounts. */
export const DURATION_PATTERN = /^(\d{1,9})(ms|s|m|h|d)$/;

/** `90s`, `10m`, `1h`, `1d` in milliseconds; null where the text is no duration. */
export function durationMs(text: string): number | null {
  const match = DURATION_PATTERN.exec(text);
  if (!match) return null;
  return Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS];
}
