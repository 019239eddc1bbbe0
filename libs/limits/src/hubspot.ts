import { type CatalogueLimit, type CrmCatalogue, wholeAccount } from './catalogue-limit.js';

const HOUR_MS = 3_600_000;

interface Tier {
  readonly perTenSeconds: number;
  readonly perDay: number;
}

/** Documented. `limit-increase` is the least that one bought increase makes of any tier: the day adds to the tier's own. */
const TIERS: Readonly<Record<string, Tier>> = {
  free: { perTenSeconds: 100, perDay: 250_000 },
  starter: { perTenSeconds: 100, perDay: 250_000 },
  professional: { perTenSeconds: 190, perDay: 625_000 },
  enterprise: { perTenSeconds: 190, perDay: 1_000_000 },
  'limit-increase': { perTenSeconds: 250, perDay: 1_000_000 },
};

/**
 * HubSpot. Documented: so many calls in ten seconds for each app, and so many a day for the account, whose day begins at
 * midnight of the time zone set for it. A 429 names the limit in `policyName`; headers tell both (the day's not to OAuth
 * apps). Open: where the ten seconds begin, so they are counted as rolling. The ledger holds the whole account to what one
 * app may have in ten seconds: too little where integrations are several apps, never too much; `limits` raises it.
 */
export const HUBSPOT: CrmCatalogue = {
  licences: Object.keys(TIERS),
  termsOf: () => ['timeZone'],
  limitsOf(licence, { timeZone }) {
    const tier = Object.hasOwn(TIERS, licence) ? TIERS[licence] : undefined;
    if (!tier) return null;
    const tenSeconds = wholeAccount({
      name: 'ten-seconds',
      kind: 'rolling',
      lengthMs: 10_000,
      max: tier.perTenSeconds,
      headers: { limit: ['x-hubspot-ratelimit-max'], remaining: ['x-hubspot-ratelimit-remaining'] },
    });
    return { limits: [tenSeconds, day(tier.perDay, timeZone)], holds: [] };
  },
};

/** Nobody said which midnight: any 25 hours, as long as a day can be, are held to what one day may have. */
function day(max: number, timeZone: string | undefined): CatalogueLimit {
  const headers = { limit: ['x-hubspot-ratelimit-daily'], remaining: ['x-hubspot-ratelimit-daily-remaining'] };
  const common = { name: 'day', max, headers };
  return timeZone === undefined
    ? wholeAccount({ ...common, kind: 'rolling', lengthMs: 25 * HOUR_MS })
    : wholeAccount({ ...common, kind: 'fixed', lengthMs: 24 * HOUR_MS, anchor: timeZone });
}
