import { Inject, Injectable } from '@nestjs/common';
import type { AccountName, IngestFeed, InteractionEventName } from '#contracts';
import type { Clock } from '#clock';
import {
  BODY_REJECTIONS,
  type BodyRejectionCode,
  EVENT_REJECTIONS,
  EVENT_WARNINGS,
  type EventRejectionCode,
  type EventWarningCode,
} from './domain/rejection.js';
import { openEnvelope } from './domain/open-envelope.js';
import { type Arrival, readEvent, type ReadEvent } from './domain/read-event.js';
import { BusUnavailable, type InteractionBus, type Stored } from './interaction.bus.js';
import { eventsTaken, takingSeconds } from './ingest.metrics.js';
import { CLOCK, INGEST_LIMITS, INTERACTION_BUS } from './ingest.tokens.js';

export interface IngestLimits {
  readonly maxEventsPerEnvelope: number;
  /** Most events on their way to the stream at once, of all doors together; beyond it bodies are put off. */
  readonly maxEventsInFlight: number;
}

/** A body as it came through a door: who sent it is already known and allowed. */
export interface Delivery {
  readonly account: AccountName;
  readonly feed: IngestFeed;
  readonly door: 'http' | 'nats' | 'folder';
  readonly body: unknown;
  readonly traceparent: string | null;
}

export interface StoredEvent {
  readonly index: number;
  readonly eventId: string;
  readonly interactionId: string;
  readonly event: InteractionEventName;
  readonly outcome: 'accepted' | 'duplicate';
}

export interface RejectedEvent {
  readonly index: number;
  readonly eventId: string | null;
  readonly code: EventRejectionCode;
  readonly message: string;
}

export interface Warning {
  /** Null where it is about the whole envelope. */
  readonly index: number | null;
  readonly code: EventWarningCode;
  readonly message: string;
}

/** What became of an envelope that could be opened, event by event. */
export interface Receipt {
  readonly accepted: number;
  readonly duplicates: number;
  readonly events: readonly StoredEvent[];
  readonly rejected: readonly RejectedEvent[];
  readonly warnings: readonly Warning[];
}

export type Taken =
  | { readonly kind: 'taken'; readonly receipt: Receipt }
  | { readonly kind: 'refused'; readonly code: BodyRejectionCode; readonly message: string }
  /** Not everything is stored, and it is unknown how much: the whole body may be sent again, nothing is doubled. */
  | {
      readonly kind: 'unavailable';
      readonly code: 'stream_unavailable' | 'stream_full' | 'overloaded';
      readonly message: string;
      readonly retryInMs: number;
    };

const OVERLOADED_RETRY_MS = 1_000;

/** Takes a delivery in: opens it, reads and names each event, makes the good ones durable, says what became of each. */
@Injectable()
export class IngestHandler {
  #inFlight = 0;

  constructor(
    @Inject(INTERACTION_BUS) private readonly bus: InteractionBus,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(INGEST_LIMITS) private readonly limits: IngestLimits,
  ) {}

  /** Resolves after every event that counts as accepted is stored. Throws only for bugs. */
  async take(delivery: Delivery): Promise<Taken> {
    const opened = openEnvelope(delivery.body, this.limits.maxEventsPerEnvelope);
    if (!opened.ok) return { kind: 'refused', code: opened.code, message: BODY_REJECTIONS[opened.code] };
    const { events, countDiffers } = opened;
    if (this.#inFlight > 0 && this.#inFlight + events.length > this.limits.maxEventsInFlight)
      return unavailable('overloaded', 'too many events are being stored', OVERLOADED_RETRY_MS);

    const { account, feed, traceparent } = delivery;
    const arrival: Arrival = { account, feed, receivedAt: this.clock.nowMs(), traceparent };
    const read = events.map((raw) => readEvent(raw, arrival));
    const stored = await this.#store(read);
    if ('kind' in stored) return stored;
    const receipt = receiptOf(read, stored.answers, countDiffers);
    count(delivery, receipt);
    return { kind: 'taken', receipt };
  }

  /** One answer per event that could be read, in order. */
  async #store(read: readonly ReadEvent[]): Promise<{ readonly answers: readonly Stored[] } | Taken> {
    const startedMs = this.clock.monotonicMs();
    this.#inFlight += read.length;
    try {
      const answers = await this.bus.store(read.filter((each) => each.ok).map(({ event }) => event));
      takingSeconds.observe((this.clock.monotonicMs() - startedMs) / 1_000);
      return { answers };
    } catch (error) {
      if (error instanceof BusUnavailable) return unavailable(error.code, error.message, error.retryInMs);
      throw error;
    } finally {
      this.#inFlight -= read.length;
    }
  }
}

function unavailable(
  code: 'stream_unavailable' | 'stream_full' | 'overloaded',
  message: string,
  retryInMs: number,
): Taken {
  return { kind: 'unavailable', code, message: `${message}; send the whole body again`, retryInMs };
}

function receiptOf(read: readonly ReadEvent[], answers: readonly Stored[], countDiffers: boolean): Receipt {
  const events: StoredEvent[] = [];
  const rejected: RejectedEvent[] = [];
  const warnings: Warning[] = countDiffers ? [warning(null, 'count_differs')] : [];
  for (const [index, each] of read.entries()) {
    if (!each.ok) {
      rejected.push({ index, eventId: each.eventId, code: each.code, message: EVENT_REJECTIONS[each.code] });
      continue;
    }
    const { id, type, data } = each.event;
    const outcome = answers[events.length]?.duplicate === true ? 'duplicate' : 'accepted';
    events.push({ index, eventId: id, interactionId: data.interactionId, event: type, outcome });
    for (const code of each.warnings) warnings.push(warning(index, code));
  }
  const repeated = events.filter(({ outcome }) => outcome === 'duplicate').length;
  return { accepted: events.length - repeated, duplicates: repeated, events, rejected, warnings };
}

function warning(index: number | null, code: EventWarningCode): Warning {
  return { index, code, message: EVENT_WARNINGS[code] };
}

function count({ account, door }: Delivery, { accepted, duplicates, rejected }: Receipt): void {
  if (accepted > 0) eventsTaken.inc({ account, door, outcome: 'accepted' }, accepted);
  if (duplicates > 0) eventsTaken.inc({ account, door, outcome: 'duplicate' }, duplicates);
  for (const { code } of rejected) eventsTaken.inc({ account, door, outcome: code });
}

/** True where an envelope had events and nothing came of any of them; events about agents are none of ours and don't count. */
export function nothingAccepted({ events, rejected }: Receipt): boolean {
  return events.length === 0 && rejected.some(({ code }) => code !== 'not_about_a_session');
}
