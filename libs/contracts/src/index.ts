export {
  type AccountName,
  FINAL_WRITE_STATES,
  type IntegrationName,
  type InteractionId,
  isName,
  NAME_PATTERN,
  PRIORITIES,
  type Priority,
  WRITE_STATES,
  type WriteState,
  WRITER_INTEGRATION,
} from './words.js';
export { type Channel, channelOf, escapeToken, interactionIdOf, MAX_SESSION_ID_LENGTH } from './interaction-id.js';
export { encodeEnvelope, type Envelope, type Parsed, parseEnvelope, SCHEMA_VERSION } from './envelope.js';
export { instantOf, isoOf } from './instant.js';
export {
  type Agent,
  type Contact,
  type Disposition,
  INTERACTION_EVENTS,
  type InteractionEvent,
  type InteractionEventData,
  type InteractionEventName,
  parseInteractionEvent,
  rankOf,
} from './interaction-event.js';
export {
  type AddComment,
  type Command,
  type CommandAction,
  type CommandData,
  commandIdOf,
  COMMAND_KINDS,
  type CommandKind,
  type CustomField,
  type EnsureTicket,
  parseCommand,
  type SetFields,
} from './command.js';
export { type Outcome, OUTCOME_TYPES, type OutcomeData, type OutcomeType, parseOutcome } from './outcome.js';
export {
  type AcquireAnswer,
  type AcquireRequest,
  CALL_KINDS,
  type CallKey,
  type CallKind,
  type Granted,
  type LimitStanding,
  type ObserveAnswer,
  type Observed,
  type ObserveRequest,
  type PlaceTaken,
  type Refused,
  type Rejected,
  type Released,
  type ReleaseAnswer,
  type ReleaseRequest,
  type SettleAnswer,
  type Settled,
  type SettleRequest,
  type Unavailable,
  type UsageAnswer,
  type UsageRequest,
  type UsageRow,
  type UsedCall,
} from './quota.js';
export {
  ACCOUNTS_BUCKET,
  INGEST_FEEDS,
  type IngestFeed,
  QUOTA_VERBS,
  type QuotaVerb,
  STREAMS,
  type StreamName,
  subjects,
} from './subjects.js';
export {
  type AccountConfig,
  type Batching,
  type SecretRef,
  type CrmConfig,
  type LimitConfig,
  type IntegrationConfig,
  type TicketPolicy,
  type PublishedAccount,
} from './account.js';
export {
  LEDGER_EVENTS,
  type LedgerEventData,
  type LedgerEventMessage,
  type LedgerEventName,
  parseLedgerEvent,
} from './ledger-event.js';
export { type AppliedAccount, type ApplyAccountsAnswer, type ApplyAccountsRequest } from './apply-accounts.js';
