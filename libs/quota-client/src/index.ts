export { HeldGrant } from './held-grant.js';
export { type Patience, QuotaClient, type QuotaClientOptions } from './quota-client.js';
export { natsTransport, type QuotaTransport } from './quota-transport.js';
export { type CallResult, type CallsWanted, type GrantedCall, type Ran } from './with-calls.js';
export {
  type Acquired,
  type CallMade,
  type Heard,
  type SeenAnswer,
  type Settlement,
  type Silent,
  type Wanted,
  type Withdrawn,
} from './words.js';
