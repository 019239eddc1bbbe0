import { type DynamicModule, Module } from '@nestjs/common';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Pool } from 'pg';
import { systemClock } from '#clock';
import { NATS, natsModule, OutboxRelay, StreamPublisher } from '#jetstream';
import { POOL, postgresModule, type Tx } from '#postgres';
import { HealthChecks, type ServiceTools } from '#telemetry';
import { AnnounceAccountsDuty } from './announce-accounts.duty.js';
import { ApplyAccountsHandler } from './apply-accounts.handler.js';
import { LEDGER_ENTITIES } from './entities/ledger.entities.js';
import { EventOutbox } from './event-outbox.js';
import { LedgerOwner } from './ledger.owner.js';
import { Ledger1763820000000 } from './migrations/1763820000000-ledger.js';
import { LEDGER_SCHEMA, ONLY_PARTITION, PostgresLedgerStores } from './postgres.ledger-stores.js';
import type { QuotaLedgerSettings } from './quota-ledger.settings.js';
import { QuotaHttpModule } from './quota-http.module.js';
import { QuotaDoors } from './quota.doors.js';
import { QuotaHandler } from './quota.handler.js';
import { UsageHandler } from './usage.handler.js';

const DAY_MS = 86_400_000;

/** The quota ledger: doors, the handler that decides, the duties, and the tables behind them. */
@Module({})
export class QuotaLedgerModule {
  static register(settings: QuotaLedgerSettings, { log, stopping }: ServiceTools): DynamicModule {
    // The handler tells the owner's relay, which is made after it.
    let owner: LedgerOwner | null = null;
    return {
      module: QuotaLedgerModule,
      imports: [
        natsModule({
          servers: settings.natsUrl,
          user: settings.natsUser,
          password: settings.natsPassword,
          name: 'quota-ledger',
          inboxPrefix: '_SVC.quota-ledger',
          log,
          signal: stopping,
        }),
        postgresModule({
          url: settings.postgresUrl,
          schema: LEDGER_SCHEMA,
          entities: LEDGER_ENTITIES,
          migrations: [Ledger1763820000000],
          applicationName: 'quota-ledger',
          poolSize: settings.postgresPoolSize,
          log,
          signal: stopping,
        }),
        QuotaHttpModule.register(log),
      ],
      controllers: [QuotaDoors],
      providers: [
        { provide: QuotaHandler, useFactory: () => new QuotaHandler(systemClock, log, () => owner?.wakeRelay()) },
        { provide: UsageHandler, useFactory: (quota: QuotaHandler) => new UsageHandler(quota), inject: [QuotaHandler] },
        {
          provide: AnnounceAccountsDuty,
          useFactory: (nc: NatsConnection) =>
            new AnnounceAccountsDuty(nc, settings.streamReplicas, systemClock, log, stopping),
          inject: [NATS],
        },
        {
          provide: ApplyAccountsHandler,
          useFactory: (quota: QuotaHandler, announcer: AnnounceAccountsDuty) =>
            new ApplyAccountsHandler(quota, announcer, log),
          inject: [QuotaHandler, AnnounceAccountsDuty],
        },
        {
          provide: LedgerOwner,
          useFactory: (
            pool: Pool,
            publisher: StreamPublisher,
            quota: QuotaHandler,
            accounts: ApplyAccountsHandler,
            announcer: AnnounceAccountsDuty,
            health: HealthChecks,
          ) => {
            const reader = readerOf(pool);
            const stores = new PostgresLedgerStores({ url: settings.postgresUrl, reader, log });
            const relay = (): OutboxRelay => {
              const outbox = new EventOutbox(reader, ONLY_PARTITION);
              return new OutboxRelay({
                take: (limit) => outbox.take(limit),
                markPublished: (ids) => outbox.markPublished(ids),
                publisher,
                log,
              });
            };
            owner = new LedgerOwner(
              { stores, quota, accounts, announcer, relay, clock: systemClock, log },
              {
                accountsFile: settings.accountsFile,
                accountsForce: settings.accountsForce,
                retention: {
                  grantsMs: settings.keepGrantsDays * DAY_MS,
                  minutesMs: settings.keepMinutesDays * DAY_MS,
                  daysMs: settings.keepDaysDays * DAY_MS,
                  eventsMs: settings.keepEventsDays * DAY_MS,
                },
              },
            );
            const made = owner;
            health.add('ownership', () => made.check());
            health.add('accounts', () => announcer.check());
            return owner;
          },
          inject: [POOL, StreamPublisher, QuotaHandler, ApplyAccountsHandler, AnnounceAccountsDuty, HealthChecks],
        },
      ],
    };
  }
}

/** One statement at a time on any connection of the pool. */
function readerOf(pool: Pool): Pick<Tx, 'query'> {
  return {
    query: async <R>(sql: string, params: readonly unknown[] = []) =>
      (await pool.query(sql, params as unknown[])).rows as R[],
  };
}
