import { Injectable } from '@nestjs/common';
import { type Command, encodeEnvelope, subjects } from '#contracts';
import { StreamFull, StreamPublisher, StreamUnavailable } from '#jetstream';
import { BusUnavailable, type CommandBus } from './command.bus.js';

/** The real bus: COMMANDS on JetStream, stored when the PubAck is there. */
@Injectable()
export class CommandPublisher implements CommandBus {
  constructor(private readonly stream: StreamPublisher) {}

  async store(command: Command): Promise<void> {
    const { account, data, type, id } = command;
    try {
      await this.stream.publish(
        subjects.command(account, data.interactionId, type),
        encodeEnvelope(command),
        // A command of a dry run must not keep the same one, meant later, from being stored.
        `${account}:${id}${data.dryRun ? ':dry' : ''}`,
      );
    } catch (error) {
      if (error instanceof StreamFull || error instanceof StreamUnavailable)
        throw new BusUnavailable(error.retryInMs, { cause: error });
      throw error;
    }
  }
}
