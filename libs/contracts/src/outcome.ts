import { type Envelope, type Parsed, parseEnvelope } from './envelope.js';
import type { CommandKind } from './command.js';
import type { InteractionId } from './words.js';

export const OUTCOME_TYPES = ['done', 'parked', 'superseded', 'lapsed', 'rehearsed'] as const;
export type OutcomeType = (typeof OUTCOME_TYPES)[number];

/** What came of a command, for good. `rehearsed`: it was of a dry run; `writer` and `mergedWith` tell of the call that was planned. */
export interface OutcomeData {
  readonly interactionId: InteractionId;
  readonly commandId: string;
  readonly kind: CommandKind;
  readonly ticketId: number | null;
  /** The grant under which the last call for it was made; null where none was needed. */
  readonly grantId: string | null;
  readonly writer: 'single' | 'batch' | null;
  /** How many commands that call carried. */
  readonly mergedWith: number;
  /** For parked and lapsed: why, as a stable code and in words without customers' text. */
  readonly reason: { readonly code: string; readonly text: string } | null;
  /** From the event's due time to the effect at the CRM, ms. */
  readonly delayMs: number;
}

export type Outcome = Envelope<OutcomeType, OutcomeData>;

/** Bytes of OUTCOMES to an outcome; a named reason where they aren't one. */
export function parseOutcome(bytes: Uint8Array): Parsed<Outcome> {
  return parseEnvelope(bytes, OUTCOME_TYPES, (_type, data) => {
    if (typeof data !== 'object' || data === null) return { ok: false, reason: 'data is missing' };
    const outcome = data as OutcomeData;
    if (typeof outcome.commandId !== 'string') return { ok: false, reason: 'data.commandId is missing' };
    return { ok: true, value: outcome };
  });
}
