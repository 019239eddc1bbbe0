import { Injectable } from '@nestjs/common';
import { encodeEnvelope, type InteractionEvent, subjects } from '#contracts';
import { StreamFull, StreamPublisher, StreamUnavailable } from '#jetstream';
import { BusUnavailable, type InteractionBus, type Stored } from './interaction.bus.js';

/** Fewer events than this wait for the end of the turn, to share a write to the socket with those of other requests. */
const ENOUGH_FOR_A_WRITE_EVENTS = 8;

/** The real bus: INTERACTIONS on JetStream, stored when the PubAcks are there. */
@Injectable()
export class InteractionPublisher implements InteractionBus {
  #turn: Promise<void> | null = null;

  constructor(private readonly stream: StreamPublisher) {}

  async store(events: readonly InteractionEvent[]): Promise<readonly Stored[]> {
    if (events.length < ENOUGH_FOR_A_WRITE_EVENTS) await this.#nextTurn();
    try {
      return await Promise.all(events.map((event) => this.#publish(event)));
    } catch (error) {
      if (error instanceof StreamFull) throw new BusUnavailable('stream_full', error.retryInMs, { cause: error });
      if (error instanceof StreamUnavailable)
        throw new BusUnavailable('stream_unavailable', error.retryInMs, { cause: error });
      throw error;
    }
  }

  #publish(event: InteractionEvent): Promise<Stored> {
    const { account, type, id, data } = event;
    const subject = subjects.interaction(account, data.interactionId, type);
    return this.stream.publish(subject, encodeEnvelope(event), `${account}:${id}`);
  }

  /**
   * The end of this turn of the event loop, the same one for all who ask in it. A write to the socket for each small
   * request costs more than everything else that is done for it. Large ones don't wait: the server stores them while
   * the next is being read.
   */
  #nextTurn(): Promise<void> {
    this.#turn ??= new Promise((resolve) => {
      setImmediate(() => {
        this.#turn = null;
        resolve();
      });
    });
    return this.#turn;
  }
}
