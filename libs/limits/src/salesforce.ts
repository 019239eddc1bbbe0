import { type CrmCatalogue, wholeAccount } from './catalogue-limit.js';

const DAY_MS = 86_400_000;

interface Edition {
  readonly base: number;
  readonly perSeat: number;
}

/** Calls in 24 hours (documented): so many for the edition, and more for each user licence. */
const EDITIONS: Readonly<Record<string, Edition>> = {
  developer: { base: 15_000, perSeat: 0 },
  professional: { base: 100_000, perSeat: 1_000 },
  enterprise: { base: 100_000, perSeat: 1_000 },
  unlimited: { base: 100_000, perSeat: 5_000 },
};

/**
 * Salesforce. Documented: one limit for the whole org, over a rolling 24 hours; each answer tells it as
 * `Sforce-Limit-Info: api-usage=18/5000` (used of the limit, so what was bought beside is learned from there). A refusal is
 * 403 `REQUEST_LIMIT_EXCEEDED` and names no time to wait. A composite call of 25 parts counts once, as does a collection of 200.
 * Seats that aren't told are counted as none, which is only less than there is.
 */
export const SALESFORCE: CrmCatalogue = {
  licences: Object.keys(EDITIONS),
  termsOf: (licence) => ((EDITIONS[licence]?.perSeat ?? 0) > 0 ? ['seats'] : []),
  limitsOf(licence, { seats }) {
    const edition = Object.hasOwn(EDITIONS, licence) ? EDITIONS[licence] : undefined;
    if (!edition) return null;
    const day = wholeAccount({
      name: 'day',
      kind: 'rolling',
      lengthMs: DAY_MS,
      max: edition.base + edition.perSeat * (seats ?? 0),
      headers: { usedOfLimit: [{ header: 'sforce-limit-info', key: 'api-usage' }] },
    });
    return { limits: [day], holds: [] };
  },
};
