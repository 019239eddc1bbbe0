export { type Clock, systemClock } from './clock.js';
export { backoffMs, type Backoff } from './backoff.js';
export { type NewId, randomId } from './new-id.js';
export { settledWithin } from './within.js';
