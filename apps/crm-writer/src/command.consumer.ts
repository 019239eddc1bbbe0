import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import type { NatsConnection } from '@nats-io/transport-node';
import { type Command, parseCommand } from '#contracts';
import {
  ack,
  consume,
  type Consumption,
  deadLetter,
  type Delivered,
  type Disposition,
  NATS,
  StreamPublisher,
} from '#jetstream';
import { HealthChecks, type Log } from '#telemetry';
import { AccountWriters } from './account.writers.js';
import { commandsTakenIn } from './crm-writer.metrics.js';
import { usableCommand } from './domain/usable-command.js';
import { LOG, WRITE_STORE } from './crm-writer.tokens.js';
import type { WriteStore } from './write.store.js';

/** The consumer's name at the server; all writers share it. */
export const DURABLE = 'crm-writer';
/** Longest wait for a batch to fill: an agent is waiting for the ticket. */
const MAX_BATCH_WAIT_MS = 5;
const ACK_WAIT_MS = 5_000;

/** Takes commands from COMMANDS into the store; acknowledged once they are committed there. */
@Injectable()
export class CommandConsumer implements OnApplicationShutdown {
  #consumption: Consumption | null = null;

  constructor(
    @Inject(NATS) private readonly nc: NatsConnection,
    @Inject(LOG) private readonly log: Log,
    @Inject(WRITE_STORE) private readonly store: WriteStore,
    private readonly writers: AccountWriters,
    private readonly deadLetters: StreamPublisher,
    health: HealthChecks,
  ) {
    health.add('commands', () => (this.#consumption ? this.#consumption.check() : 'not begun'));
  }

  start(maxBatch: number): void {
    this.#consumption = consume({
      nc: this.nc,
      stream: 'COMMANDS',
      durable: DURABLE,
      maxBatch,
      maxWaitMs: MAX_BATCH_WAIT_MS,
      ackWaitMs: ACK_WAIT_MS,
      handle: (batch) => this.#takeIn(batch),
      deadLetters: this.deadLetters,
      log: this.log,
    });
  }

  async stop(): Promise<void> {
    await this.#consumption?.stop();
  }

  onApplicationShutdown(): Promise<void> {
    return this.stop();
  }

  async #takeIn(batch: readonly Delivered[]): Promise<Disposition[]> {
    const parsed = batch.map(({ data }) => {
      const command = parseCommand(data);
      return command.ok ? usableCommand(command.value) : command;
    });
    const commands = parsed.flatMap((one): Command[] => (one.ok ? [one.value] : []));
    const taken = await this.store.takeIn(commands);
    for (const account of new Set(commands.map((command) => command.account))) {
      this.writers.wake(account);
      commandsTakenIn.inc({ account }, commands.filter((one) => one.account === account).length);
    }
    this.log.debug('commands taken in', { delivered: batch.length, new: taken });
    return parsed.map((one) => (one.ok ? ack : deadLetter(one.reason)));
  }
}
