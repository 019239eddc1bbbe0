export {
  type AccountDirectory,
  publishAccount,
  removeAccount,
  watchAccounts,
  type WatchAccountsOptions,
} from './account-directory.js';
export {
  checkNats,
  closeNats,
  connectNats,
  LEAST_SERVER_VERSION,
  type NatsOptions,
  ServerTooOld,
} from './connect-nats.js';
export { consume, type ConsumeOptions, type Consumption, type Delivered } from './consume.js';
export { ack, deadLetter, type Disposition, retryAfter } from './disposition.js';
export { durabilityNote } from './durability-note.js';
export { type DeclaredStream, declareStream, StreamMismatch, type StreamSizes } from './declare-stream.js';
export { DoorRejection, doorValidation, NatsDoors, type NatsDoorsOptions } from './nats-doors.js';
export { RequestContext, RequestDoors, type RequestDoorsOptions, type RequestHandler } from './request-doors.js';
export { NATS, natsModule } from './nats-module.js';
export { OutboxRelay, type OutboxRelayOptions, type OutboxRow } from './outbox-relay.js';
export {
  type Published,
  StreamFull,
  StreamPublisher,
  type StreamPublisherOptions,
  StreamUnavailable,
} from './stream-publisher.js';
export { readStream } from './read-stream.js';
