import { type CrmCatalogue, wholeAccount } from './catalogue-limit.js';

/** Calls in 60 seconds (documented). */
const PLANS: Readonly<Record<string, number>> = {
  professional: 300,
  business: 500,
  enterprise: 1_000,
  ultimate: 2_000,
};

/**
 * Kustomer. Documented: one limit for all API keys of an organization, over 60 seconds; `x-ratelimit-reset` is an instant,
 * not a time to wait. Limits for single objects and for webhooks stand beside it and aren't known here. Open: where
 * the 60 seconds begin, so they are counted as rolling.
 */
export const KUSTOMER: CrmCatalogue = {
  licences: Object.keys(PLANS),
  termsOf: () => [],
  limitsOf(licence) {
    const max = Object.hasOwn(PLANS, licence) ? PLANS[licence] : undefined;
    if (max === undefined) return null;
    const headers = {
      limit: ['x-ratelimit-limit'],
      remaining: ['x-ratelimit-remaining'],
      resetEpoch: ['x-ratelimit-reset'],
    };
    return { limits: [wholeAccount({ name: 'minute', kind: 'rolling', lengthMs: 60_000, max, headers })], holds: [] };
  },
};
