export {
  draws,
  type HeaderNames,
  type HoldLimit,
  isCountedByKey,
  type KeyScope,
  type Limit,
  type LimitSet,
  NO_HEADERS,
} from './limit.js';
export { type Catalogue, type CatalogueLimit, type LicenceTerms } from './catalogue-limit.js';
export { catalogueOf, licencesOf, termsOf } from './catalogue.js';
export { windowAt, windowsBetween, type Window } from './window.js';
export { limitsOf } from './limits-of.js';
