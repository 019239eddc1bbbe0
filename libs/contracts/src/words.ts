/** The words every part shares: names of accounts, integrations, interactions, and what may become of a command. */

/** One CRM account: one licence. Lower-case letters, digits and dashes, 1–32 characters. */
export type AccountName = string;
/** One consumer of an account's calls (`ccai`, `reporting`, …). Same spelling rule as an account's name. */
export type IntegrationName = string;
/** The integration as which Sluice's own calls to the CRM are counted: they are made for CCAI. Every account has it. */
export const WRITER_INTEGRATION: IntegrationName = 'ccai';
/** `call-<id>` or `chat-<id>`, already escaped for subjects (see `interactionIdOf`). */
export type InteractionId = string;

/** What an account's or integration's name must match: safe in a subject, a URL, a user name and a file name. */
export const NAME_PATTERN = /^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/;

/** True for a valid account or integration name. */
export function isName(value: unknown): value is string {
  return typeof value === 'string' && NAME_PATTERN.test(value);
}

/** Whose turn it is when calls are scarce: customers waiting now, ordinary work, catching up. */
export const PRIORITIES = ['live', 'normal', 'backlog'] as const;
export type Priority = (typeof PRIORITIES)[number];

/** How a command stands. `unknown` = sent, no answer yet; it is resolved by asking the CRM. `rehearsed` = made in a dry run. */
export const WRITE_STATES = [
  'waiting',
  'claimed',
  'sent',
  'unknown',
  'done',
  'parked',
  'superseded',
  'lapsed',
  'rehearsed',
] as const;
export type WriteState = (typeof WRITE_STATES)[number];

/** The states in which nothing more will happen to a command by itself. */
export const FINAL_WRITE_STATES = [
  'done',
  'parked',
  'superseded',
  'lapsed',
  'rehearsed',
] as const satisfies readonly WriteState[];
