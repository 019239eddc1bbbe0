import { type Envelope, type Parsed, parseEnvelope } from './envelope.js';
import type { IntegrationName } from './words.js';

/** What the ledger tells on LEDGER of each account, one message for all that one commit did to one integration. */
export const LEDGER_EVENTS = [
  'granted',
  'settled',
  'expired',
  'held',
  'released',
  'closed',
  'refused',
  'foreign',
  'licence',
  'applied',
] as const;
export type LedgerEventName = (typeof LEDGER_EVENTS)[number];

export interface LedgerEventData {
  /** `(foreign)` for calls that nobody asked for, `(account)` for what concerns the whole account. */
  readonly integration: IntegrationName;
  /** One for each grant, settle, place…; their fields are told in docs/protocol.md. */
  readonly entries: readonly Readonly<Record<string, unknown>>[];
}

export type LedgerEventMessage = Envelope<LedgerEventName, LedgerEventData>;

/** Bytes of LEDGER to a message; a named reason where they aren't one. */
export function parseLedgerEvent(bytes: Uint8Array): Parsed<LedgerEventMessage> {
  return parseEnvelope(bytes, LEDGER_EVENTS, (_type, data) => {
    const { integration, entries } = (data ?? {}) as Partial<LedgerEventData>;
    if (typeof integration !== 'string') return { ok: false, reason: 'data.integration is missing' };
    if (!Array.isArray(entries)) return { ok: false, reason: 'data.entries is missing' };
    return { ok: true, value: { integration, entries } };
  });
}
