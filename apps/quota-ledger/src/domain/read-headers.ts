import type { Limit } from '#limits';
import { httpDateMs } from './http-date.js';

/** What one response's headers say of one limit. Each may be absent. */
export interface HeaderStanding {
  readonly max: number | null;
  readonly remaining: number | null;
  /** Until the window ends, in the CRM's own seconds. */
  readonly resetSeconds: number | null;
}

/** By name; whoever hands them in may have spelt names in any case, and repeated headers may be a list. */
type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

/** More calls or a longer wait than this is no limit's telling, but somebody's junk. */
const MOST_CALLS = 1_000_000_000;
const LONGEST_SECONDS = 31 * 86_400;
/** An instant that has passed by no more than this means now: clocks and whole seconds differ. */
const PASSED_SECONDS = 60;
/** Instants beyond this are told in milliseconds: in seconds it would be the year 5138. */
const MOST_EPOCH_SECONDS = 100_000_000_000;

/**
 * Reads a limit's headers in whichever spelling they came; null where the response says nothing of it, or contradicts
 * itself. Resets that are told as an instant are counted from the CRM's own `date`, else from `answeredAtMs` (epoch ms, when
 * the answer came), and are null where neither is known.
 */
export function headerStanding(limit: Limit, headers: Headers, answeredAtMs?: number): HeaderStanding | null {
  const { headers: names } = limit;
  const told =
    firstOf(names.combined, (name) => combined(valueOf(headers, name))) ??
    firstOf(names.usedOfLimit, ({ header, key }) => usedOfLimit(valueOf(headers, header), key)) ??
    plain(names, headers, answeredAtMs);
  if (told.max === null && told.remaining === null) return null;
  return told.max !== null && told.remaining !== null && told.remaining > told.max ? null : told;
}

/** `retry-after` in the CRM's own seconds, told as such or as a date; null where absent, or a date and nobody knows what time it is. */
export function retryAfterSeconds(headers: Headers, answeredAtMs?: number): number | null {
  const value = valueOf(headers, 'retry-after');
  if (value === null) return null;
  const seconds = secondsOf(value);
  if (seconds !== null) return seconds;
  const until = httpDateMs(value);
  return until === null ? null : untilInstant(until, headers, answeredAtMs);
}

function plain(names: Limit['headers'], headers: Headers, answeredAtMs: number | undefined): HeaderStanding {
  const read = (spellings: readonly string[], as: (value: string) => number | null): number | null =>
    firstOf(spellings, (name) => {
      const value = valueOf(headers, name);
      return value === null ? null : as(value);
    });
  return {
    max: read(names.limit, maxOf),
    remaining: read(names.remaining, callsOf),
    resetSeconds:
      read(names.resetSeconds, secondsOf) ??
      read(names.resetEpoch, (value) => {
        const until = instantOf(value);
        return until === null ? null : untilInstant(until, headers, answeredAtMs);
      }),
  };
}

/** `total=100; remaining=99; resets=41` */
function combined(value: string | null): HeaderStanding | null {
  if (value === null) return null;
  const parts = new Map<string, string>();
  for (const part of value.split(/[;,]/)) {
    const [spelt = '', text] = part.split('=');
    const name = spelt.trim().toLowerCase();
    // A header that came twice and says two things says nothing.
    if (text !== undefined) parts.set(name, (parts.get(name) ?? text).trim() === text.trim() ? text : '');
  }
  const read = (name: string, as: (text: string) => number | null): number | null => {
    const text = parts.get(name);
    return text === undefined ? null : as(text);
  };
  const told = {
    max: read('total', maxOf),
    remaining: read('remaining', callsOf),
    resetSeconds: read('resets', secondsOf),
  };
  return told.max === null && told.remaining === null ? null : told;
}

/** `api-usage=18/5000; …`: used of the limit, and there may be more used than it allows. */
function usedOfLimit(value: string | null, key: string): HeaderStanding | null {
  for (const part of value?.split(/[;,]/) ?? []) {
    const [name, pair] = part.split('=');
    if (name?.trim().toLowerCase() !== key) continue;
    const [used, limit, ...more] = (pair ?? '').split('/');
    const max = maxOf(limit ?? '');
    const calls = callsOf(used ?? '');
    if (max !== null && calls !== null && more.length === 0)
      return { max, remaining: Math.max(0, max - calls), resetSeconds: null };
  }
  return null;
}

function untilInstant(untilMs: number, headers: Headers, answeredAtMs: number | undefined): number | null {
  const date = valueOf(headers, 'date');
  const nowMs = (date === null ? null : httpDateMs(date)) ?? answeredAtMs ?? null;
  if (nowMs === null || !Number.isFinite(nowMs)) return null;
  const seconds = Math.ceil((untilMs - nowMs) / 1_000);
  return seconds < -PASSED_SECONDS || seconds > LONGEST_SECONDS ? null : Math.max(0, seconds);
}

function firstOf<T, R>(candidates: readonly T[], read: (candidate: T) => R | null): R | null {
  for (const candidate of candidates) {
    const found = read(candidate);
    if (found !== null) return found;
  }
  return null;
}

/** One value of a header, whatever its case. A header that came several times counts where it says the same each time. */
function valueOf(headers: Headers, name: string): string | null {
  let value: unknown = Object.hasOwn(headers, name) ? headers[name] : undefined;
  if (value === undefined)
    for (const [spelt, other] of Object.entries(headers))
      if (spelt.length === name.length && spelt.toLowerCase() === name) value = other;
  if (typeof value === 'string') return value;
  return Array.isArray(value) && typeof value[0] === 'string' && value.every((one) => one === value[0])
    ? value[0]
    : null;
}

/** A whole number, once or (joined by commas) the same several times. */
function wholeNumber(text: string): number | null {
  const [first, ...more] = text.split(',').map((part) => part.trim());
  if (first === undefined || !/^\d{1,15}$/.test(first) || more.some((part) => part !== first)) return null;
  return Number(first);
}

function callsOf(text: string): number | null {
  const calls = wholeNumber(text);
  return calls !== null && calls <= MOST_CALLS ? calls : null;
}

/** A limit of nothing is none. */
function maxOf(text: string): number | null {
  const max = callsOf(text);
  return max === 0 ? null : max;
}

/** Seconds to wait; parts of one are rounded up. */
function secondsOf(text: string): number | null {
  const seconds = /^\s*\d{1,9}\.\d{1,9}\s*$/.test(text) ? Math.ceil(Number(text)) : wholeNumber(text);
  return seconds !== null && seconds <= LONGEST_SECONDS ? seconds : null;
}

/** Seconds or milliseconds since 1970, in epoch ms. */
function instantOf(text: string): number | null {
  const whole = /^\s*\d{1,12}\.\d{1,9}\s*$/.test(text) ? Number(text) : wholeNumber(text);
  if (whole === null) return null;
  return whole > MOST_EPOCH_SECONDS ? whole : whole * 1_000;
}
