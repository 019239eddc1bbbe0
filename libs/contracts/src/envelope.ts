import { instantOf, isoOf } from './instant.js';
import type { AccountName } from './words.js';

/** The newest version of every message this release writes. Older ones are upcast at the door, for ever. */
export const SCHEMA_VERSION = 1;

/** What every message on a stream carries around its data. Instants are epoch milliseconds inside, ISO 8601 on the wire. */
export interface Envelope<Type extends string, Data> {
  /** Names the message for deduplication: an event's `event_id`, a command's hash. */
  readonly id: string;
  readonly type: Type;
  readonly schemaVersion: number;
  readonly account: AccountName;
  /** When it happened out there, epoch ms. */
  readonly occurredAt: number;
  /** When Sluice first wrote it down, epoch ms. */
  readonly recordedAt: number;
  /** The id of the message that caused this one; its own id where nothing did. */
  readonly causationId: string;
  /** W3C trace context, handed through unchanged. */
  readonly traceparent: string | null;
  readonly data: Data;
}

interface WireEnvelope {
  id: unknown;
  type: unknown;
  schemaVersion: unknown;
  account: unknown;
  occurredAt: unknown;
  recordedAt: unknown;
  causationId: unknown;
  traceparent: unknown;
  data: unknown;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

/** The message as bytes: JSON with ISO instants. */
export function encodeEnvelope<T extends string, D>(message: Envelope<T, D>): Uint8Array {
  return encoder.encode(
    JSON.stringify({ ...message, occurredAt: isoOf(message.occurredAt), recordedAt: isoOf(message.recordedAt) }),
  );
}

export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly reason: string };

/**
 * Bytes to a message of one of the given types. Doesn't throw: what doesn't parse comes back with a reason in plain
 * words, so that the door can put it aside for the operator instead of redelivering it for ever.
 */
export function parseEnvelope<T extends string, D>(
  bytes: Uint8Array,
  types: readonly T[],
  parseData: (type: T, data: unknown, schemaVersion: number) => Parsed<D>,
): Parsed<Envelope<T, D>> {
  let wire: WireEnvelope;
  try {
    wire = JSON.parse(decoder.decode(bytes)) as WireEnvelope;
  } catch {
    return { ok: false, reason: 'not JSON in UTF-8' };
  }
  if (typeof wire !== 'object' || wire === null) return { ok: false, reason: 'not an object' };
  const { id, type, schemaVersion, account, causationId } = wire;
  if (typeof id !== 'string' || id === '') return { ok: false, reason: 'id is missing' };
  if (!types.includes(type as T)) return { ok: false, reason: `unknown type ${String(type)}` };
  if (typeof schemaVersion !== 'number' || schemaVersion < 1 || schemaVersion > SCHEMA_VERSION)
    return { ok: false, reason: `schemaVersion ${String(schemaVersion)} is not one this release reads` };
  if (typeof account !== 'string' || account === '') return { ok: false, reason: 'account is missing' };
  const occurredAt = instantOf(wire.occurredAt);
  const recordedAt = instantOf(wire.recordedAt);
  if (occurredAt === null || recordedAt === null)
    return { ok: false, reason: 'occurredAt or recordedAt is no instant' };
  const data = parseData(type as T, wire.data, schemaVersion);
  if (!data.ok) return data;
  const envelope: Envelope<T, D> = {
    id,
    type: type as T,
    schemaVersion,
    account,
    occurredAt,
    recordedAt,
    causationId: typeof causationId === 'string' ? causationId : id,
    traceparent: typeof wire.traceparent === 'string' ? wire.traceparent : null,
    data: data.value,
  };
  return { ok: true, value: envelope };
}
