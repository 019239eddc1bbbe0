import { type CrmCatalogue, wholeAccount } from './catalogue-limit.js';

const MINUTE_MS = 60_000;

/** Calls a minute (documented). */
const PLANS: Readonly<Record<string, number>> = { trial: 50, growth: 200, pro: 400, enterprise: 700 };

/**
 * Freshdesk. Documented: one limit a minute for the account; below it stand limits by method, whose numbers aren't known
 * here (an account that knows its own adds them under `limits` with `draws`). An answer tells the account's in
 * `X-RateLimit-Total` and `-Remaining`; a call that embeds more counts more than once, as `-Used-CurrentRequest` tells.
 * Open: where the minute begins, so it is counted as rolling.
 */
export const FRESHDESK: CrmCatalogue = {
  licences: Object.keys(PLANS),
  termsOf: () => [],
  limitsOf(licence) {
    const max = Object.hasOwn(PLANS, licence) ? PLANS[licence] : undefined;
    if (max === undefined) return null;
    const headers = { limit: ['x-ratelimit-total'], remaining: ['x-ratelimit-remaining'] };
    return {
      limits: [wholeAccount({ name: 'minute', kind: 'rolling', lengthMs: MINUTE_MS, max, headers })],
      holds: [],
    };
  },
};
