/** 2010-01-01: before that nothing that CCAI sends can have happened. */
export const EARLIEST_INSTANT_MS = 1_262_304_000_000;
/** How far a sender's clock may be ahead of ours and still be believed. */
export const MAX_AHEAD_MS = 5 * 60_000;

const DAY_MS = 86_400_000;
const ISO =
  /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?)? ?(Z|UTC|[+-]\d{2}(?::?\d{2})?)?$/i;

/**
 * An instant as CCAI writes it, to epoch ms: a number of milliseconds, the same as digits, or ISO 8601 (no zone = UTC).
 * Null where it is none of these; whether it is plausible is another question.
 */
export function instantOf(value: unknown): number | null {
  if (typeof value === 'number') return Number.isFinite(value) ? Math.trunc(value) : null;
  if (typeof value !== 'string' || value.length > 40) return null;
  const raw = value.trim();
  if (/^\d{10,16}$/.test(raw)) return Number(raw);
  const found = ISO.exec(raw);
  if (!found) return null;
  const [year, month, day, hour, minute, second] = found.slice(1, 7).map((part) => Number(part ?? 0)) as Six;
  if (month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || hour > 24 || minute > 59 || second > 60)
    return null;
  const fractionMs = Math.trunc(Number(`0.${found[7] ?? 0}`) * 1_000);
  const timeMs = ((hour * 60 + minute) * 60 + second) * 1_000 + fractionMs;
  return daysFromEpoch(year, month, day) * DAY_MS + timeMs - offsetMs(found[8]);
}

/** True where something could have happened then, seen from `nowMs`. */
export function isPlausible(instantMs: number, nowMs: number): boolean {
  return instantMs >= EARLIEST_INSTANT_MS && instantMs <= nowMs + MAX_AHEAD_MS;
}

type Six = [number, number, number, number, number, number];

function daysIn(year: number, month: number): number {
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  return [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]!;
}

/** Days of the Gregorian calendar since 1970-01-01, counted in years that begin in March, so that leap days come last. */
function daysFromEpoch(year: number, month: number, day: number): number {
  const marchYear = month > 2 ? year : year - 1;
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  const leapDays = Math.floor(marchYear / 4) - Math.floor(marchYear / 100) + Math.floor(marchYear / 400);
  return marchYear * 365 + leapDays + dayOfYear - 719_468;
}

function offsetMs(zone: string | undefined): number {
  if (zone === undefined || /^(?:z|utc)$/i.test(zone)) return 0;
  const digits = zone.slice(1).replace(':', '').padEnd(4, '0');
  const minutes = Number(digits.slice(0, 2)) * 60 + Number(digits.slice(2, 4));
  return (zone.startsWith('-') ? -minutes : minutes) * 60_000;
}
