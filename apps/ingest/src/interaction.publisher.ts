import { Injectable } from '@nestjs/common';
import { encodeEnvelope, type InteractionEvent, subjects } from '#contracts';
import { StreamFull, StreamPublisher, StreamUnavailable } from '#jetstream';
import { BusUnavailable, type InteractionBus } from './interaction.bus.js';
import { nextTurn } from './next-turn.js';

/** The real bus: INTERACTIONS on JetStream, stored when the PubAck is there. */
@Injectable()
export class InteractionPublisher implements InteractionBus {
  constructor(private readonly stream: StreamPublisher) {}

  async store(event: InteractionEvent): Promise<{ readonly duplicate: boolean }> {
    const { account, type, id, data } = event;
    const subject = subjects.interaction(account, data.interactionId, type);
    const bytes = encodeEnvelope(event);
    await nextTurn();
    try {
      return await this.stream.publish(subject, bytes, `${account}:${id}`);
    } catch (error) {
      if (error instanceof StreamFull) throw new BusUnavailable('stream_full', error.retryInMs, { cause: error });
      if (error instanceof StreamUnavailable)
        throw new BusUnavailable('stream_unavailable', error.retryInMs, { cause: error });
      throw error;
    }
  }
}
