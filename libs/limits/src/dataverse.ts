import { type CrmCatalogue, wholeAccount } from './catalogue-limit.js';

const LICENCES = ['standard'];

/**
 * Dataverse (Dynamics 365). Documented: 6,000 calls of each user to each web server within a sliding five minutes; a 429 says
 * in `Retry-After` how long to wait. How many servers an environment has isn't told: one is counted, which is the
 * least. A `$batch` of up to 1,000 parts is one call here; what its parts count is open. Each call must name its user in
 * `keys`: calls that name none are not held to anybody's limit.
 */
export const DATAVERSE: CrmCatalogue = {
  licences: LICENCES,
  termsOf: () => [],
  limitsOf(licence) {
    if (!LICENCES.includes(licence)) return null;
    const perUser = wholeAccount({ name: 'five-minutes', kind: 'rolling', lengthMs: 5 * 60_000, max: 6_000 });
    return { limits: [{ ...perUser, scope: 'user' }], holds: [] };
  },
};
