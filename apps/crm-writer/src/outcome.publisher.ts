import { Inject, Injectable } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import { OutboxRelay, StreamPublisher } from '#jetstream';
import { inTransaction, poolOf } from '#postgres';
import { HealthChecks, type Log } from '#telemetry';
import { LOG, POSTGRES } from './crm-writer.tokens.js';
import { deleteOutbox } from './sql/delete-outbox.js';
import { takeOutbox } from './sql/take-outbox.js';

/** Carries outcomes from the outbox to OUTCOMES, at least once each; the stream drops repeated ones by their message id. */
@Injectable()
export class OutcomePublisher {
  readonly #relay: OutboxRelay;

  constructor(
    @Inject(POSTGRES) dataSource: DataSource,
    @Inject(LOG) log: Log,
    publisher: StreamPublisher,
    health: HealthChecks,
  ) {
    const pool = poolOf(dataSource);
    this.#relay = new OutboxRelay({
      take: (limit) => inTransaction(pool, (tx) => takeOutbox(tx, limit)),
      markPublished: (ids) => inTransaction(pool, (tx) => deleteOutbox(tx, ids)),
      publisher,
      log,
    });
    health.add('outcomes', () => this.#relay.check());
  }

  start(): void {
    this.#relay.start();
  }

  /** Rows were written: they go at once. */
  wake(): void {
    this.#relay.wake();
  }

  stop(): Promise<void> {
    return this.#relay.stop();
  }
}
