import {
  type AccountName,
  encodeEnvelope,
  escapeToken,
  type IntegrationName,
  type LedgerEventMessage,
  type LedgerEventName,
  SCHEMA_VERSION,
  subjects,
} from '#contracts';
import type { OutboxRow } from '#jetstream';
import type { Tx } from '#postgres';
import type { LedgerEvent } from './domain/ledger-changes.js';
import { beginTelling } from './sql/begin-telling.js';
import { endTelling } from './sql/end-telling.js';
import { type JournalRow, readJournal } from './sql/read-journal.js';
import { readPartition } from './sql/read-partition.js';

/** Most turns told together. */
const TURNS_LIMIT = 1_000;
/** Half of what a NATS message may have by default. */
const MESSAGE_BYTES_LIMIT = 524_288;

interface Telling {
  readonly rows: readonly OutboxRow[];
  readonly throughSeq: number;
}

/**
 * The journal of a partition as an outbox: what several turns did to one integration goes into one message. Which turns are told
 * together is stored before they are, so that after a crash the same messages are made again, with the same ids: also where an
 * owner that lost the partition is still telling. It begins nothing more, as its epoch has passed.
 */
export class EventOutbox {
  private telling: Telling | null = null;

  constructor(
    private readonly reader: Pick<Tx, 'query'>,
    private readonly partition: number,
    private readonly epoch: number,
  ) {}

  /** The next messages: all of one group of turns, again until every one is marked. */
  async take(): Promise<readonly OutboxRow[]> {
    this.telling ??= await this.next();
    return this.telling?.rows ?? [];
  }

  async markPublished(ids: readonly number[]): Promise<void> {
    const { telling } = this;
    if (!telling || ids.length < telling.rows.length) return;
    await endTelling(this.reader, this.partition, telling.throughSeq);
    this.telling = null;
  }

  private async next(): Promise<Telling | null> {
    const known = await readPartition(this.reader, this.partition);
    if (!known || known.epoch !== this.epoch || known.lastSeq <= known.toldSeq) return null;
    // A group that was begun is told as it was; else as many turns as there are, up to a bound.
    const begun = known.tellingSeq > known.toldSeq;
    const lastSeq = begun ? known.tellingSeq : Math.min(known.lastSeq, known.toldSeq + TURNS_LIMIT);
    const turns = await readJournal(this.reader, this.partition, known.toldSeq, lastSeq, TURNS_LIMIT);
    const throughSeq = turns.at(-1)?.seq ?? lastSeq;
    const { partition, epoch } = this;
    if (!begun && !(await beginTelling(this.reader, { partition, epoch, throughSeq }))) return null;
    const rows = messagesOf(turns, `p${this.partition}-${throughSeq}`);
    return { rows, throughSeq };
  }
}

interface Group {
  readonly account: AccountName;
  readonly integration: IntegrationName;
  readonly event: LedgerEventName;
  readonly entries: object[];
  readonly atMs: number;
  bytes: number;
}

/** One message for each integration and kind of event, more where one would grow too large. */
function messagesOf(turns: readonly JournalRow[], group: string): OutboxRow[] {
  const groups: Group[] = [];
  const newest = new Map<string, Group>();
  // Where all together fit into one message, as they mostly do, nothing needs to be measured.
  const isMuch = turns.reduce((bytes, { events }) => bytes + Buffer.byteLength(events), 0) > MESSAGE_BYTES_LIMIT;
  for (const { atMs, events } of turns)
    for (const { account, integration, event, entries } of JSON.parse(events) as LedgerEvent[]) {
      const key = `${account} ${integration} ${event}`;
      for (const entry of entries) {
        const bytes = isMuch ? Buffer.byteLength(JSON.stringify(entry)) : 0;
        let open = newest.get(key);
        if (!open || open.bytes + bytes > MESSAGE_BYTES_LIMIT) {
          open = { account, integration, event, entries: [], atMs, bytes: 0 };
          newest.set(key, open);
          groups.push(open);
        }
        open.entries.push(entry);
        open.bytes += bytes;
      }
    }
  return groups.map((one, index) => messageOf(one, index, `${one.account}-ledger-${group}-${index}`));
}

function messageOf({ account, integration, event, atMs, entries }: Group, id: number, msgId: string): OutboxRow {
  const message: LedgerEventMessage = {
    id: msgId,
    type: event,
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
