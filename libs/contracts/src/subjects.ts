import type { CommandKind } from './command.js';
import type { InteractionEventName } from './interaction-event.js';
import type { AccountName, IntegrationName, InteractionId } from './words.js';

/** Subjects carry identity, so that the server's permissions enforce it. Every token is already escaped or a valid name. */
export const subjects = {
  interaction: (account: AccountName, interactionId: InteractionId, event: InteractionEventName): string =>
    `interactions.v1.${account}.${interactionId}.${event}`,
  command: (account: AccountName, interactionId: InteractionId, kind: CommandKind): string =>
    `commands.v1.${account}.${interactionId}.${kind}`,
  outcome: (account: AccountName, interactionId: InteractionId, kind: CommandKind): string =>
    `outcomes.v1.${account}.${interactionId}.${kind}`,
  ledger: (account: AccountName, integration: IntegrationName, event: string): string =>
    `ledger.v1.${account}.${integration}.${event}`,
  quota: (account: AccountName, integration: IntegrationName, verb: QuotaVerb): string =>
    `quota.v1.${account}.${integration}.${verb}`,
  usage: (account: AccountName): string => `quota.v1.${account}.usage`,
  forecast: (account: AccountName): string => `quota.v1.${account}.forecast`,
  /** The door by which events come in over NATS: same bodies as over HTTP. */
  ingest: (account: AccountName, integration: IntegrationName, feed: IngestFeed): string =>
    `ingest.v1.${account}.${integration}.${feed}`,
  /** Operators apply a changed accounts file here. */
  applyAccounts: 'accounts.v1.apply',
  /** What a consumer could not read, kept for the operator. */
  deadLetter: (durable: string): string => `deadletters.v1.${durable}`,
} as const;

export const QUOTA_VERBS = ['acquire', 'settle', 'cancel', 'hold', 'release', 'observe'] as const;
export type QuotaVerb = (typeof QUOTA_VERBS)[number];

export const INGEST_FEEDS = ['calls', 'chats', 'metadata'] as const;
export type IngestFeed = (typeof INGEST_FEEDS)[number];

/** A stream as every service declares it, and which subjects it holds. */
export const STREAMS = {
  INTERACTIONS: { subjects: ['interactions.v1.>'] },
  COMMANDS: { subjects: ['commands.v1.>'] },
  OUTCOMES: { subjects: ['outcomes.v1.>'] },
  LEDGER: { subjects: ['ledger.v1.>'] },
  DEAD_LETTERS: { subjects: ['deadletters.v1.>'] },
} as const;
export type StreamName = keyof typeof STREAMS;

/** The key-value bucket in which the ledger publishes each account's current configuration (no secrets in it). */
export const ACCOUNTS_BUCKET = 'accounts';
