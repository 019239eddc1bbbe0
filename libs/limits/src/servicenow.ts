import { type CrmCatalogue, wholeAccount } from './catalogue-limit.js';

const HOUR_MS = 3_600_000;
const LICENCES = ['custom'];

/**
 * ServiceNow. Documented: the instance's administrator makes the rules, each so many calls an hour; none hold by licence,
 * so an account has to say its own. `X-RateLimit-Limit` and `-Reset` (an instant, seconds since 1970) tell of the rule
 * that a call met, `-Rule` names it; what remains isn't told. Open: where the hour begins, so it is counted as rolling;
 * `kind: fixed` in `limits` puts it on the clock's hours.
 */
export const SERVICENOW: CrmCatalogue = {
  licences: LICENCES,
  termsOf: () => [],
  limitsOf(licence) {
    if (!LICENCES.includes(licence)) return null;
    const headers = { limit: ['x-ratelimit-limit'], resetEpoch: ['x-ratelimit-reset'] };
    const hour = wholeAccount({ name: 'hour', kind: 'rolling', lengthMs: HOUR_MS, max: null, headers });
    return { limits: [hour], holds: [] };
  },
};
