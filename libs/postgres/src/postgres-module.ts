import { type DynamicModule, Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import { HealthChecks } from '#telemetry';
import type { Pool } from 'pg';
import { DataSource } from 'typeorm';
import { checkPostgres } from './in-transaction.js';
import { openPostgres, poolOf, type PostgresOptions } from './open-postgres.js';

/** Injects the service's pool: `@Inject(POOL) pool: Pool`. */
export const POOL = Symbol('POOL');

@Module({})
class PostgresModule implements OnApplicationShutdown {
  constructor(
    private readonly dataSource: DataSource,
    @Inject(POOL) pool: Pool,
    health: HealthChecks,
  ) {
    health.add('postgres', checkPostgres(pool));
  }

  async onApplicationShutdown(): Promise<void> {
    if (this.dataSource.isInitialized) await this.dataSource.destroy();
  }
}

/**
 * The service's Postgres, for all its modules: the `DataSource` (also for `@nestjs/typeorm`), and `POOL` for SQL.
 * Adds the health check `postgres`; closed when the application shuts down.
 */
export function postgresModule(options: PostgresOptions): DynamicModule {
  return {
    module: PostgresModule,
    global: true,
    providers: [
      { provide: DataSource, useFactory: () => openPostgres(options) },
      { provide: POOL, useFactory: poolOf, inject: [DataSource] },
    ],
    exports: [DataSource, POOL],
  };
}
