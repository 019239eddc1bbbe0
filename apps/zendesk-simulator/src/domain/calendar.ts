/*
 * Dates without the platform's clock: everything here is a pure function of an instant (epoch milliseconds) that was
 * handed in.
 */

const DAY_MS = 86_400_000;
const WEEKDAYS = ['Thu', 'Fri', 'Sat', 'Sun', 'Mon', 'Tue', 'Wed'] as const;
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const;

interface CivilDate {
  readonly year: number;
  readonly month: number;
  readonly day: number;
}

/** The span of one window: from `startMs` up to, not including, `endMs`. */
export interface Span {
  readonly startMs: number;
  readonly endMs: number;
}

/** The instant as Zendesk writes it: UTC, to the second, `2026-01-31T09:05:00Z`. */
export function isoOf(ms: number): string {
  const second = Math.floor(ms / 1000);
  if (second !== latestIso.second) latestIso = { second, text: isoText(ms) };
  return latestIso.text;
}

/** Answers mostly tell the same few instants again and again. */
let latestIso = { second: Number.NaN, text: '' };
let latestHttpDate = { second: Number.NaN, text: '' };

function isoText(ms: number): string {
  const { date, hours, minutes, seconds } = split(ms);
  return `${date.year}-${two(date.month)}-${two(date.day)}T${two(hours)}:${two(minutes)}:${two(seconds)}Z`;
}

/** The instant as the `Date` header writes it: to the second (RFC 9110). */
export function httpDateOf(ms: number): string {
  const second = Math.floor(ms / 1000);
  if (second !== latestHttpDate.second) latestHttpDate = { second, text: httpDateText(ms) };
  return latestHttpDate.text;
}

function httpDateText(ms: number): string {
  const { days, date, hours, minutes, seconds } = split(ms);
  const weekday = WEEKDAYS[((days % 7) + 7) % 7] ?? 'Thu';
  const month = MONTHS[date.month - 1] ?? 'Jan';
  return `${weekday}, ${two(date.day)} ${month} ${date.year} ${two(hours)}:${two(minutes)}:${two(seconds)} GMT`;
}

/** The instant an ISO 8601 text names (`Z`, an offset or none = UTC), or undefined when it names none. */
export function instantOf(text: string): number | undefined {
  const match = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(\.\d+)?)?)?\s*(Z|[+-]\d\d:?\d\d)?$/.exec(text);
  if (!match) return undefined;
  const part = (at: number): number => Number(match[at] ?? 0);
  if (part(2) < 1 || part(2) > 12 || part(3) < 1 || part(3) > 31 || part(4) > 24 || part(5) > 59) return undefined;
  const clockMs = ((part(4) * 60 + part(5)) * 60 + part(6)) * 1000 + Math.round(part(7) * 1000);
  return daysOf({ year: part(1), month: part(2), day: part(3) }) * DAY_MS + clockMs - offsetOf(match[8]);
}

const latestDays = new Map<string, Span>();

/** The calendar day of a time zone (IANA name) in which the instant lies; 23 to 25 hours long where clocks change. */
export function zonedDayOf(ms: number, timeZone: string): Span {
  const latest = latestDays.get(timeZone);
  if (latest && ms >= latest.startMs && ms < latest.endMs) return latest;
  const localDay = Math.floor((ms + zoneOffsetMs(ms, timeZone)) / DAY_MS);
  const day = {
    startMs: instantOfLocal(localDay * DAY_MS, timeZone),
    endMs: instantOfLocal((localDay + 1) * DAY_MS, timeZone),
  };
  latestDays.set(timeZone, day);
  return day;
}

/** Whether the platform knows this time zone's name. */
export function isTimeZone(timeZone: string): boolean {
  try {
    return formatterOf(timeZone) !== undefined;
  } catch {
    return false;
  }
}

function instantOfLocal(localMs: number, timeZone: string): number {
  const guessMs = localMs - zoneOffsetMs(localMs, timeZone);
  return localMs - zoneOffsetMs(guessMs, timeZone);
}

const formatters = new Map<string, Intl.DateTimeFormat>();

function formatterOf(timeZone: string): Intl.DateTimeFormat {
  let formatter = formatters.get(timeZone);
  if (!formatter) {
    formatter = new Intl.DateTimeFormat('en-US', {
      timeZone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
    formatters.set(timeZone, formatter);
  }
  return formatter;
}

function zoneOffsetMs(ms: number, timeZone: string): number {
  const wholeSecondMs = Math.floor(ms / 1000) * 1000;
  const parts: Record<string, number> = {};
  for (const { type, value } of formatterOf(timeZone).formatToParts(wholeSecondMs)) parts[type] = Number(value);
  const days = daysOf({ year: parts['year'] ?? 1970, month: parts['month'] ?? 1, day: parts['day'] ?? 1 });
  const seconds = (parts['hour'] ?? 0) * 3600 + (parts['minute'] ?? 0) * 60 + (parts['second'] ?? 0);
  return days * DAY_MS + seconds * 1000 - wholeSecondMs;
}

function offsetOf(zone: string | undefined): number {
  if (!zone || zone === 'Z') return 0;
  const minutes = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(-2));
  return (zone.startsWith('-') ? -minutes : minutes) * 60_000;
}

function split(ms: number): { days: number; date: CivilDate; hours: number; minutes: number; seconds: number } {
  const days = Math.floor(ms / DAY_MS);
  const rest = Math.floor((ms - days * DAY_MS) / 1000);
  return {
    days,
    date: civilOf(days),
    hours: Math.floor(rest / 3600),
    minutes: Math.floor(rest / 60) % 60,
    seconds: rest % 60,
  };
}

/** Days since 1970-01-01 of a date of the Gregorian calendar; years are counted from March so that the leap day is last. */
function daysOf({ year, month, day }: CivilDate): number {
  const shifted = month <= 2 ? year - 1 : year;
  const era = Math.floor(shifted / 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

function civilOf(days: number): CivilDate {
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1,
  };
}

function two(value: number): string {
  return value < 10 ? `0${value}` : String(value);
}
