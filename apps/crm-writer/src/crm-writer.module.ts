import { type DynamicModule, Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import type { NatsConnection } from '@nats-io/transport-node';
import type { DataSource } from 'typeorm';
import { type Clock, randomId, systemClock } from '#clock';
import type { WrittenAccount } from '#contracts';
import { type AccountDirectory, NATS, natsModule, watchAccounts } from '#jetstream';
import { acquireOwnership, checkPostgres, openPostgres, poolOf } from '#postgres';
import { readSecret } from '#settings';
import { HealthChecks, type Log, type ServiceTools } from '#telemetry';
import { AccountWriters, type CrmFactory, type TakeOwnership } from './account.writers.js';
import { CommandConsumer } from './command.consumer.js';
import type { CrmWriterSettings } from './crm-writer.settings.js';
import {
  ACCOUNTS,
  CLOCK,
  CRM_FACTORY,
  LOG,
  OWNERSHIP,
  POSTGRES,
  QUOTA_CLIENT,
  SETTINGS,
  WRITE_STORE,
} from './crm-writer.tokens.js';
import { ENTITIES } from './entities/entities.js';
import { ForgetDuty } from './forget.duty.js';
import { MIGRATIONS } from './migrations/migrations.js';
import { OutcomePublisher } from './outcome.publisher.js';
import { PostgresWriteStore } from './postgres.write-store.js';
import { NatsQuotaClient } from './quota.client.js';
import { StatusController } from './status.controller.js';
import { UndiciCrm } from './zendesk/undici-crm.js';
import { userAgent } from './zendesk/user-agent.js';

/** The writer's own schema in Postgres. */
export const SCHEMA = 'crm_writer';

/** The CRM writer: COMMANDS in, calls to the CRM under grants, OUTCOMES out. */
@Module({})
export class CrmWriterModule implements OnApplicationShutdown {
  constructor(
    @Inject(ACCOUNTS) private readonly accounts: AccountDirectory,
    @Inject(POSTGRES) private readonly dataSource: DataSource,
    private readonly writers: AccountWriters,
    private readonly outcomes: OutcomePublisher,
    health: HealthChecks,
  ) {
    health.add('accounts', () => accounts.check());
    health.add('postgres', checkPostgres(poolOf(dataSource)));
  }

  static register(settings: CrmWriterSettings, { log, stopping }: ServiceTools): DynamicModule {
    return {
      module: CrmWriterModule,
      imports: [
        natsModule({
          servers: settings.natsUrl,
          user: settings.natsUser,
          password: settings.natsPassword,
          name: 'crm-writer',
          inboxPrefix: '_SVC.crm-writer',
          log,
          signal: stopping,
        }),
      ],
      controllers: [StatusController],
      providers: [
        AccountWriters,
        CommandConsumer,
        OutcomePublisher,
        ForgetDuty,
        { provide: LOG, useValue: log },
        { provide: CLOCK, useValue: systemClock },
        { provide: SETTINGS, useValue: settings },
        {
          provide: ACCOUNTS,
          useFactory: (nc: NatsConnection, writers: AccountWriters) =>
            watchAccounts(nc, {
              log,
              onAccount: (account) => writers.put(account),
              onRemoved: (name) => writers.remove(name),
            }),
          inject: [NATS, AccountWriters],
        },
        { provide: POSTGRES, useFactory: () => postgres(settings, log, stopping) },
        {
          provide: WRITE_STORE,
          useFactory: (dataSource: DataSource, clock: Clock, outcomes: OutcomePublisher) =>
            new PostgresWriteStore(poolOf(dataSource), clock, () => outcomes.wake()),
          inject: [POSTGRES, CLOCK, OutcomePublisher],
        },
        {
          provide: QUOTA_CLIENT,
          useFactory: (nc: NatsConnection, clock: Clock) => new NatsQuotaClient(nc, clock, randomId),
          inject: [NATS, CLOCK],
        },
        { provide: CRM_FACTORY, useFactory: (clock: Clock) => crmFactory(settings, clock), inject: [CLOCK] },
        { provide: OWNERSHIP, useFactory: () => ownership(settings, log) },
      ],
    };
  }

  async onApplicationShutdown(): Promise<void> {
    await this.accounts.stop();
    await this.writers.stop();
    await this.outcomes.stop();
    await this.dataSource.destroy();
  }
}

function postgres(settings: CrmWriterSettings, log: Log, signal: AbortSignal): Promise<DataSource> {
  return openPostgres({
    url: settings.postgresUrl,
    schema: SCHEMA,
    entities: ENTITIES,
    migrations: MIGRATIONS,
    applicationName: 'crm-writer',
    poolSize: settings.postgresPoolSize,
    log,
    signal,
  });
}

function crmFactory({ maxCallsInFlight }: CrmWriterSettings, clock: Clock): CrmFactory {
  return ({ crm }: WrittenAccount) =>
    new UndiciCrm({
      crm,
      clock,
      userAgent: userAgent(),
      secret: () => readSecret(crm.credential.tokenRef),
      maxConnections: maxCallsInFlight,
    });
}

function ownership({ postgresUrl }: CrmWriterSettings, log: Log): TakeOwnership {
  return (account, signal) =>
    acquireOwnership({
      url: postgresUrl,
      key: `crm-writer ${account}`,
      applicationName: 'crm-writer owner',
      signal,
      log,
    });
}
