import { Inject, Injectable } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import type { Clock } from '#clock';
import { inTransaction, poolOf } from '#postgres';
import type { Log } from '#telemetry';
import type { CrmWriterSettings } from './crm-writer.settings.js';
import { CLOCK, LOG, POSTGRES, SETTINGS } from './crm-writer.tokens.js';
import { FORGET_AT_MOST, forgetSent } from './sql/forget-sent.js';

/** How often it is looked for texts that have reached their age. */
const EVERY_MS = 10 * 60_000;
/** Between two helpings where there is more: others want the database too. */
const BETWEEN_MS = 500;

/** Takes customers' text out of what was done long enough ago. Replicas may do it side by side. */
@Injectable()
export class ForgetDuty {
  readonly #stopping = new AbortController();
  #running: Promise<void> | null = null;

  constructor(
    @Inject(POSTGRES) private readonly dataSource: DataSource,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(LOG) private readonly log: Log,
    @Inject(SETTINGS) private readonly settings: CrmWriterSettings,
  ) {}

  start(): void {
    this.#running ??= this.#run(this.#stopping.signal);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(stopping: AbortSignal): Promise<void> {
    const pool = poolOf(this.dataSource);
    while (!stopping.aborted) {
      let waitMs = EVERY_MS;
      try {
        const forgotten = await inTransaction(pool, (tx) => forgetSent(tx, this.settings.keepSent));
        if (forgotten > 0) this.log.info('texts of done commands were forgotten', { rows: forgotten });
        if (forgotten >= FORGET_AT_MOST) waitMs = BETWEEN_MS;
      } catch (error) {
        this.log.warn('texts could not be forgotten now', { error });
      }
      await this.clock.sleep(waitMs, stopping).catch(() => undefined);
    }
  }
}
