import { type DynamicModule, Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import type { NatsConnection } from '@nats-io/transport-node';
import { HealthChecks } from '#telemetry';
import { checkNats, closeNats, connectNats, type NatsOptions } from './connect-nats.js';
import { StreamPublisher, type StreamPublisherOptions } from './stream-publisher.js';

/** Injects the service's connection: `@Inject(NATS) nc: NatsConnection`. */
export const NATS = Symbol('NATS');

@Module({})
class NatsModule implements OnApplicationShutdown {
  constructor(
    @Inject(NATS) private readonly nc: NatsConnection,
    private readonly publisher: StreamPublisher,
    health: HealthChecks,
  ) {
    health.add('nats', checkNats(nc));
  }

  async onApplicationShutdown(): Promise<void> {
    this.publisher.close();
    await closeNats(this.nc);
  }
}

/**
 * The service's one connection to NATS, for all its modules: `NATS`, and a `StreamPublisher` on it. Adds the health check
 * `nats`; drained when the application shuts down.
 */
export function natsModule(options: NatsOptions & { readonly publisher?: StreamPublisherOptions }): DynamicModule {
  return {
    module: NatsModule,
    global: true,
    providers: [
      { provide: NATS, useFactory: () => connectNats(options) },
      {
        provide: StreamPublisher,
        useFactory: (nc: NatsConnection) => new StreamPublisher(nc, options.publisher),
        inject: [NATS],
      },
    ],
    exports: [NATS, StreamPublisher],
  };
}
