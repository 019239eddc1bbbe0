import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { type Envelope, type Parsed, parseEnvelope } from './envelope.js';
import type { Contact } from './interaction-event.js';
import type { AccountName, InteractionId, Priority } from './words.js';

export const COMMAND_KINDS = ['ensureTicket', 'addComment', 'setFields'] as const;
export type CommandKind = (typeof COMMAND_KINDS)[number];

export interface CustomField {
  readonly id: number;
  readonly value: string | number | boolean | null;
}

/** The one ticket of an interaction: made, or (append policy) an open one of the same contact and queue taken. */
export interface EnsureTicket {
  readonly kind: 'ensureTicket';
  /** `append`: the contact's latest open ticket of the same queue if there is one, else a new one. */
  readonly mode: 'new' | 'append';
  readonly subject: string;
  /** First comment of the ticket. */
  readonly body: string;
  readonly public: boolean;
  readonly contact: Contact;
  readonly queuePath: string | null;
  readonly tags: readonly string[];
  readonly customFields: readonly CustomField[];
}

export interface AddComment {
  readonly kind: 'addComment';
  readonly body: string;
  readonly public: boolean;
}

export interface SetFields {
  readonly kind: 'setFields';
  readonly tags: readonly string[];
  readonly customFields: readonly CustomField[];
}

export type CommandAction = EnsureTicket | AddComment | SetFields;

export interface CommandData {
  readonly interactionId: InteractionId;
  readonly action: CommandAction;
  /** Commands of an interaction take effect by (eventAt, eventRank, ordinal); `ensureTicket` before all others. */
  readonly eventAt: number;
  readonly eventRank: number;
  readonly ordinal: number;
  readonly priority: Priority;
  /** After this instant (epoch ms) it is pointless and lapses instead of spending a call; null = never. */
  readonly notAfter: number | null;
  /** Which version of the account's policy made it. */
  readonly policyVersion: number;
  /** Made while the account was on a dry run: calls are planned for it and counted, and none is made. */
  readonly dryRun?: true;
}

export type Command = Envelope<CommandKind, CommandData>;

/**
 * A command's id: a pure hash of what it is about, so that planning the same event again names the same command.
 * 32 hex characters. `ensureTicket` has no event in it: there is one per interaction.
 */
export function commandIdOf(
  account: AccountName,
  interactionId: InteractionId,
  eventId: string,
  kind: CommandKind,
  ordinal: number,
): string {
  const about =
    kind === 'ensureTicket' ? [account, interactionId, '', kind, 0] : [account, interactionId, eventId, kind, ordinal];
  return bytesToHex(sha256(new TextEncoder().encode(JSON.stringify(about)))).slice(0, 32);
}

/** Bytes of COMMANDS to a command; a named reason where they aren't one. */
export function parseCommand(bytes: Uint8Array): Parsed<Command> {
  return parseEnvelope(bytes, COMMAND_KINDS, (type, data) => {
    if (typeof data !== 'object' || data === null) return { ok: false, reason: 'data is missing' };
    const command = data as CommandData;
    if (typeof command.interactionId !== 'string' || command.interactionId === '')
      return { ok: false, reason: 'data.interactionId is missing' };
    if (typeof command.action !== 'object' || command.action === null || command.action.kind !== type)
      return { ok: false, reason: 'data.action differs from type' };
    for (const field of ['eventAt', 'eventRank', 'ordinal'] as const)
      if (typeof command[field] !== 'number') return { ok: false, reason: `data.${field} is no number` };
    return { ok: true, value: command };
  });
}
