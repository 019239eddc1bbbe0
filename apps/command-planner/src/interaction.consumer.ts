import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import type { NatsConnection } from '@nats-io/transport-node';
import { type AccountDirectory, consume, type Consumption, NATS, StreamPublisher } from '#jetstream';
import { HealthChecks, type Log } from '#telemetry';
import { PlanHandler } from './plan.handler.js';
import { LOG } from './planner.tokens.js';

/** The consumer's name at the server; all planners share it. */
export const DURABLE = 'command-planner';
/** Longest wait for a batch to fill: an agent is waiting for the ticket. */
const MAX_BATCH_WAIT_MS = 5;
const ACK_WAIT_MS = 5_000;

/** Takes events from INTERACTIONS to the handler, from the moment the accounts are known. */
@Injectable()
export class InteractionConsumer implements OnApplicationShutdown {
  #consumption: Consumption | null = null;

  constructor(
    @Inject(NATS) private readonly nc: NatsConnection,
    @Inject(LOG) private readonly log: Log,
    private readonly handler: PlanHandler,
    private readonly deadLetters: StreamPublisher,
    health: HealthChecks,
  ) {
    health.add('interactions', () => (this.#consumption ? this.#consumption.check() : 'waiting for the accounts'));
  }

  /** Begins once the directory has been read: before that every account would be unknown. */
  async start(accounts: AccountDirectory, maxBatch: number, stopping: AbortSignal): Promise<void> {
    await Promise.race([accounts.loaded, aborted(stopping)]);
    if (stopping.aborted) return;
    this.#consumption = consume({
      nc: this.nc,
      stream: 'INTERACTIONS',
      durable: DURABLE,
      maxBatch,
      maxWaitMs: MAX_BATCH_WAIT_MS,
      ackWaitMs: ACK_WAIT_MS,
      handle: (batch) => this.handler.handle(batch),
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
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
