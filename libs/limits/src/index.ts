export { draws, type HoldLimit, type Limit, type LimitSet } from './limit.js';
export { windowAt, windowsBetween, type Window } from './window.js';
export { limitsOf } from './limits-of.js';
export { ZENDESK_LICENCES, zendeskLimits } from './zendesk.js';
