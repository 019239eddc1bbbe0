import {
  type AccountName,
  encodeEnvelope,
  escapeToken,
  type LedgerEventMessage,
  SCHEMA_VERSION,
  subjects,
} from '#contracts';
import type { OutboxRow } from '#jetstream';
import type { Tx } from '#postgres';
import type { LedgerEventName } from '#contracts';
import { moveRelay } from './sql/move-relay.js';
import { type EventRow, takeEvents } from './sql/take-events.js';

/**
 * The ledger's events as an outbox: read in order beyond the position reached. A row counts as told only with all before
 * it, so that one that failed is told again with what followed it; the stream drops those it has.
 */
export class EventOutbox {
  private taken: readonly number[] = [];

  constructor(
    private readonly reader: Pick<Tx, 'query'>,
    private readonly partition: number,
  ) {}

  async take(limit: number): Promise<readonly OutboxRow[]> {
    const rows = await takeEvents(this.reader, this.partition, limit);
    this.taken = rows.map(({ id }) => id);
    return rows.map(messageOf);
  }

  async markPublished(ids: readonly number[]): Promise<void> {
    const through = new Set(ids);
    const missing = this.taken.findIndex((id) => !through.has(id));
    const last = missing === -1 ? this.taken.at(-1) : this.taken[missing - 1];
    if (last !== undefined) await moveRelay(this.reader, this.partition, last);
  }
}

function messageOf({ id, account, integration, event, atMs, entries }: EventRow): OutboxRow {
  const msgId = msgIdOf(account, id);
  const message: LedgerEventMessage = {
    id: msgId,
    type: event as LedgerEventName,
    schemaVersion: SCHEMA_VERSION,
    account,
    occurredAt: atMs,
    recordedAt: atMs,
    causationId: msgId,
    traceparent: null,
    data: { integration, entries: entries as LedgerEventMessage['data']['entries'] },
  };
  const subject = subjects.ledger(account, escapeToken(integration), event);
  return { id, subject, msgId, data: encodeEnvelope(message) };
}

function msgIdOf(account: AccountName, id: number): string {
  return `${account}-ledger-${id}`;
}
