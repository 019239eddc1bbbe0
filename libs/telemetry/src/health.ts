import { Controller, type DynamicModule, Get, Header, Inject, Injectable, Module, Optional, Res } from '@nestjs/common';
import { metrics } from './metrics.js';

/** Null when well, else in plain words what is wrong. Must answer fast; it is bounded by `CHECK_LIMIT_MS`. */
export type HealthCheck = () => string | null | Promise<string | null>;

/** Longest a single check may take before it counts as failing. */
export const CHECK_LIMIT_MS = 2_000;

const CHECKS = Symbol('health checks');

export interface HealthReport {
  readonly ok: boolean;
  /** Per check: `ok`, or what is wrong. */
  readonly checks: Readonly<Record<string, string>>;
}

/** Everything that must be well for this service to take work. Inject it to add a check at run time. */
@Injectable()
export class HealthChecks {
  readonly #checks = new Map<string, HealthCheck>();

  constructor(@Optional() @Inject(CHECKS) checks: Readonly<Record<string, HealthCheck>> | null = null) {
    for (const [name, check] of Object.entries(checks ?? {})) this.#checks.set(name, check);
  }

  /** Adds a check, or replaces the one of that name. */
  add(name: string, check: HealthCheck): void {
    this.#checks.set(name, check);
  }

  /** Runs all checks side by side. Never rejects. */
  async report(): Promise<HealthReport> {
    const found = await Promise.all(
      [...this.#checks].map(async ([name, check]) => [name, (await bounded(check)) ?? 'ok'] as const),
    );
    return { ok: found.every(([, said]) => said === 'ok'), checks: Object.fromEntries(found) };
  }
}

async function bounded(check: HealthCheck): Promise<string | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve(`no answer within ${CHECK_LIMIT_MS} ms`), CHECK_LIMIT_MS);
  });
  try {
    return await Promise.race([Promise.resolve().then(check), late]);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    clearTimeout(timer);
  }
}

/** The part of Fastify's reply that is used here. */
interface Reply {
  status(code: number): unknown;
}

@Controller()
class HealthController {
  constructor(private readonly health: HealthChecks) {}

  /** The process answers: restarting it would help nothing. */
  @Get('health/live')
  live(): { readonly ok: true } {
    return { ok: true };
  }

  /** Takes work: 200, else 503 with the failing checks and why. */
  @Get('health/ready')
  async ready(@Res({ passthrough: true }) reply: Reply): Promise<HealthReport> {
    const report = await this.health.report();
    if (!report.ok) reply.status(503);
    return report;
  }

  @Get('metrics')
  @Header('content-type', metrics.contentType)
  metricsText(): Promise<string> {
    return metrics.metrics();
  }
}

/** `/health/live`, `/health/ready`, `/metrics`, and the injectable `HealthChecks`, for every module of the service. */
@Module({})
export class HealthModule {
  static register({ checks = {} }: { checks?: Readonly<Record<string, HealthCheck>> } = {}): DynamicModule {
    return {
      module: HealthModule,
      global: true,
      controllers: [HealthController],
      providers: [{ provide: CHECKS, useValue: checks }, HealthChecks],
      exports: [HealthChecks],
    };
  }
}
