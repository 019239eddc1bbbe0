import { type DynamicModule, Module } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Pool } from 'pg';
import { systemClock } from '#clock';
import { NATS, natsModule, OutboxRelay, StreamPublisher } from '#jetstream';
import { POOL, postgresModule, type Tx } from '#postgres';
import { HealthChecks, type ServiceTools } from '#telemetry';
import { AccountsDoor } from './accounts.door.js';
import { AnnounceAccountsDuty } from './announce-accounts.duty.js';
import { ApplyAccountsHandler } from './apply-accounts.handler.js';
import { LEDGER_ENTITIES } from './entities/ledger.entities.js';
import { EventOutbox } from './event-outbox.js';
import { ForecastHandler } from './forecast.handler.js';
import { LedgerOwner } from './ledger.owner.js';
import { Ledger1763820000000 } from './migrations/1763820000000-ledger.js';
import { LEDGER_SCHEMA, PostgresLedgerStores } from './postgres.ledger-store.js';
import type { QuotaLedgerSettings } from './quota-ledger.settings.js';
import { QuotaHttpModule } from './quota-http.module.js';
import { QuotaHandler } from './quota.handler.js';
import { UsageHandler } from './usage.handler.js';

const DAY_MS = 86_400_000;
/** Events are gathered for so long before they are told on LEDGER, many in a message. */
const RELAY_MS = 1_000;

/** The quota ledger: doors, the handler that decides, the duties, and the tables behind them. */
@Module({})
export class QuotaLedgerModule {
  static register(settings: QuotaLedgerSettings, { log, stopping }: ServiceTools): DynamicModule {
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
      controllers: [AccountsDoor],
      providers: [
        { provide: QuotaHandler, useFactory: () => new QuotaHandler(systemClock, log) },
        {
          provide: ForecastHandler,
          useFactory: (quota: QuotaHandler) => new ForecastHandler(quota),
          inject: [QuotaHandler],
        },
        { provide: UsageHandler, useFactory: (quota: QuotaHandler) => new UsageHandler(quota), inject: [QuotaHandler] },
        {
          provide: AnnounceAccountsDuty,
          useFactory: (nc: NatsConnection) =>
            new AnnounceAccountsDuty(nc, settings.streamReplicas, systemClock, log, stopping),
          inject: [NATS],
        },
        {
          provide: ApplyAccountsHandler,
          // The owner, made after it, is asked when a file is applied.
          useFactory: (quota: QuotaHandler, announcer: AnnounceAccountsDuty, modules: ModuleRef) =>
            new ApplyAccountsHandler(() => modules.get(LedgerOwner), quota, announcer, log),
          inject: [QuotaHandler, AnnounceAccountsDuty, ModuleRef],
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
            const stores = new PostgresLedgerStores({ url: settings.postgresUrl, pool, log });
            const relayOf = (partition: number, epoch: number): OutboxRelay => {
              const outbox = new EventOutbox(readerOf(pool), partition, epoch);
              return new OutboxRelay({
                take: () => outbox.take(),
                markPublished: (ids) => outbox.markPublished(ids),
                publisher,
                pollMs: RELAY_MS,
                log,
              });
            };
            const owner = new LedgerOwner(
              { stores, quota, accounts, announcer, relayOf, clock: systemClock, log },
              {
                accountsFile: settings.accountsFile,
                accountsForce: settings.accountsForce,
                retention: {
                  journalMs: settings.keepJournalDays * DAY_MS,
                  minutesMs: settings.keepMinutesDays * DAY_MS,
                  daysMs: settings.keepDaysDays * DAY_MS,
                },
              },
            );
            health.add('ownership', () => owner.check());
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
