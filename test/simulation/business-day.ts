import type { Random } from '../../apps/zendesk-simulator/src/domain/random.js';

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

/**
 * How a contact center's interactions spread over the hours of a day, as weights: quiet nights, a steep morning, a dip at noon, a
 * long evening. Made up for the purpose, and never changed: figures of other days stay comparable.
 */
const BUSINESS_DAY = [2, 1, 1, 1, 1, 2, 10, 30, 65, 95, 100, 92, 80, 85, 92, 90, 82, 70, 50, 35, 24, 15, 8, 4];
const EVEN_DAY = BUSINESS_DAY.map(() => 1);

/** Interactions that begin within ten minutes, beside the day's others. */
export interface Burst {
  readonly atHour: number;
  /** Of all interactions, 0..1. */
  readonly share: number;
}

export interface Arrivals {
  readonly interactions: number;
  readonly curve: 'business' | 'even';
  readonly burst: Burst | null;
  /** Hours of the day that count; shorter for a slice of it. */
  readonly hours: { readonly from: number; readonly to: number };
}

const BURST_MINUTES = 10;

/** When the day's interactions begin, ms since its midnight, ascending. */
export function arrivalsOf({ interactions, curve, burst, hours }: Arrivals, random: Random): number[] {
  const weights = (curve === 'business' ? BUSINESS_DAY : EVEN_DAY).slice(hours.from, hours.to);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const inBurst = burst ? Math.round(interactions * burst.share) : 0;
  const arrivals = Array.from({ length: interactions - inBurst }, () => {
    let rest = random.next() * total;
    const hour = weights.findIndex((weight) => (rest -= weight) < 0);
    return (hours.from + Math.max(hour, 0) + random.next()) * HOUR_MS;
  });
  for (let made = 0; made < inBurst; made += 1)
    arrivals.push(burst!.atHour * HOUR_MS + random.next() * BURST_MINUTES * MINUTE_MS);
  return arrivals.map(Math.round).sort((a, b) => a - b);
}
