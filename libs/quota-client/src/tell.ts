import type { UsedCall } from '#contracts';
import type { CallMade, SeenAnswer } from './words.js';

/** Headers that tell of limits; others may be long and are nobody's business. */
const TELLING_HEADERS = /rate-?limit|limit-info|^retry-after$|^date$/;

/** Rounded away from the instants on both sides: the call lies within what is told. */
export function usedCallOf({ call, sentAtMonoMs, answeredAtMonoMs }: CallMade, nowMonoMs: number): UsedCall {
  return {
    ...(call === undefined ? {} : { call }),
    sentAgoMs: Math.ceil(agoMs(nowMonoMs, sentAtMonoMs)),
    answeredAgoMs: answeredAtMonoMs === null ? null : Math.floor(agoMs(nowMonoMs, answeredAtMonoMs)),
  };
}

/** How long ago that was; never less than nothing. */
export function agoMs(nowMonoMs: number, thenMonoMs: number): number {
  return Math.max(0, nowMonoMs - thenMonoMs);
}

/** Of headers as they came those that tell of limits, names in lower case. */
export function tellingHeaders(headers: SeenAnswer['headers']): Record<string, string> {
  const told: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    const lower = name.toLowerCase();
    if (value !== undefined && TELLING_HEADERS.test(lower))
      told[lower] = typeof value === 'string' ? value : value.join(', ');
  }
  return told;
}
