import { Injectable } from '@nestjs/common';
import { encodeEnvelope, type InteractionEvent, subjects } from '#contracts';
import { StreamFull, StreamPublisher, StreamUnavailable } from '#jetstream';
import { BusUnavailable, type InteractionBus } from './interaction.bus.js';

/** The real bus: INTERACTIONS on JetStream, stored when the PubAck is there. */
@Injectable()
export class InteractionPublisher implements InteractionBus {
  #turn: Promise<void> | null = null;

  constructor(private readonly stream: StreamPublisher) {}

  async store(event: InteractionEvent): Promise<{ readonly duplicate: boolean }> {
    const { account, type, id, data } = event;
    const subject = subjects.interaction(account, data.interactionId, type);
    const bytes = encodeEnvelope(event);
    await this.#nextTurn();
    try {
      return await this.stream.publish(subject, bytes, `${account}:${id}`);
    } catch (error) {
      if (error instanceof StreamFull) throw new BusUnavailable('stream_full', error.retryInMs, { cause: error });
      if (error instanceof StreamUnavailable)
        throw new BusUnavailable('stream_unavailable', error.retryInMs, { cause: error });
      throw error;
    }
  }

  /**
   * The end of this turn of the event loop. Events of all requests that arrived in one turn leave in one write to the
   * socket: a write each costs more than everything else that is done for an event.
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
