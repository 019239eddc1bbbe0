import { type DynamicModule, Module } from '@nestjs/common';
import type { NatsConnection } from '@nats-io/transport-node';
import { systemClock } from '#clock';
import { NATS } from '#jetstream';
import type { Log } from '#telemetry';
import { QuotaController } from './quota.controller.js';
import { QuotaHttpUsers } from './quota.http-users.js';

/** The quota protocol over HTTP; `guardQuotaDoor` must be called before anything listens. */
@Module({})
export class QuotaHttpModule {
  static register(log: Log): DynamicModule {
    return {
      module: QuotaHttpModule,
      controllers: [QuotaController],
      providers: [
        {
          provide: QuotaHttpUsers,
          useFactory: (nc: NatsConnection) => new QuotaHttpUsers(nc, systemClock, log),
          inject: [NATS],
        },
      ],
    };
  }
}
