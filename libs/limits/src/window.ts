import type { Limit } from './limit.js';

export interface Window {
  readonly startsAt: number;
  /** First instant that no longer belongs to it. */
  readonly endsAt: number;
}

const DAY_MS = 86_400_000;
const MAX_ZONE_OFFSET_MS = 16 * 3_600_000;
const formatters = new Map<string, Intl.DateTimeFormat>();

/**
 * The fixed window that an instant (epoch ms) falls into. Windows of whole days in a time zone run from local midnight to
 * local midnight (23 to 25 hours); all others stand on the epoch, which is where a CRM's wall-clock UTC minutes stand.
 */
export function windowAt(limit: Pick<Limit, 'lengthMs' | 'anchor'>, atMs: number): Window {
  if (limit.anchor === 'UTC' || limit.lengthMs % DAY_MS !== 0) {
    // Lengths divided by a time scale have fractions: a quotient may be rounded into the neighbouring window.
    let index = Math.floor(atMs / limit.lengthMs);
    if (index * limit.lengthMs > atMs) index -= 1;
    if ((index + 1) * limit.lengthMs <= atMs) index += 1;
    return { startsAt: index * limit.lengthMs, endsAt: (index + 1) * limit.lengthMs };
  }
  const days = limit.lengthMs / DAY_MS;
  const localDay = Math.floor((atMs + zoneOffsetMs(limit.anchor, atMs)) / DAY_MS);
  const first = Math.floor(localDay / days) * days;
  return { startsAt: midnightMs(limit.anchor, first), endsAt: midnightMs(limit.anchor, first + days) };
}

/** Every fixed window that any instant of [fromMs, toMs] falls into, in order of time. */
export function windowsBetween(limit: Pick<Limit, 'lengthMs' | 'anchor'>, fromMs: number, toMs: number): Window[] {
  const windows: Window[] = [];
  for (let at = fromMs; at <= toMs;) {
    const window = windowAt(limit, at);
    windows.push(window);
    at = window.endsAt;
  }
  return windows;
}

/** The instant at which a local calendar day (days since 1970-01-01 on the zone's own calendar) begins. */
function midnightMs(zone: string, localDay: number): number {
  const asUtc = localDay * DAY_MS;
  // Two candidates cover a change of offset during the day; the earliest instant that already shows that day is its start.
  const candidates = [asUtc - MAX_ZONE_OFFSET_MS, asUtc + MAX_ZONE_OFFSET_MS].map(
    (probe) => asUtc - zoneOffsetMs(zone, probe),
  );
  const starts = candidates.filter((at) => Math.floor((at + zoneOffsetMs(zone, at)) / DAY_MS) === localDay);
  return Math.min(...(starts.length > 0 ? starts : candidates));
}

/** The zone's offset from UTC at an instant, ms; local = instant + offset. */
function zoneOffsetMs(zone: string, atMs: number): number {
  let formatter = formatters.get(zone);
  if (!formatter) {
    formatter = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
    formatters.set(zone, formatter);
  }
  const part: Record<string, number> = {};
  for (const { type, value } of formatter.formatToParts(atMs)) part[type] = Number(value);
  const local = Date.UTC(part['year']!, part['month']! - 1, part['day'], part['hour'], part['minute'], part['second']);
  return local - Math.floor(atMs / 1000) * 1000;
}
