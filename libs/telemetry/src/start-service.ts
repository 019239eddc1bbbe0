import 'reflect-metadata';
import type { DynamicModule, INestApplication, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { CustomTransportStrategy } from '@nestjs/microservices';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { httpSettings, readSettings, type SettingsOf, type SettingsSpec, summaryOf } from '#settings';
import { collectDefaultMetrics } from 'prom-client';
import { type HealthCheck, HealthChecks, HealthModule } from './health.js';
import { type JsonLogger, jsonLogger } from './json-logger.js';
import { metrics } from './metrics.js';

/** From the signal to the end of the process, at most. */
export const SHUTDOWN_LIMIT_MS = 9_500;

type Spec = SettingsSpec & typeof httpSettings;

export interface ServiceTools {
  readonly log: JsonLogger;
  /** Aborted as soon as the service begins to stop: hand it to waits that would hold it up. */
  readonly stopping: AbortSignal;
}

export interface ServiceOptions<S extends Spec> {
  /** The app's name as in `apps/<name>`; in logs, in the ready line, as the NATS connection's name. */
  readonly name: string;
  /** What the service can be told; spread `httpSettings` into it. */
  readonly settings: S;
  /** The root module, made from the settings. */
  readonly module: (settings: SettingsOf<S>, tools: ServiceTools) => DynamicModule | Type;
  /** Nest's HTTP server: bounds on what is read from a socket. Defaults: body 1 MiB. */
  readonly http?: { readonly bodyLimitBytes?: number };
  /** Global pipes, filters, content-type parsers: called before anything listens. */
  readonly configure?: (app: NestFastifyApplication) => void | Promise<void>;
  /** Checks of `/health/ready`, beside those that providers add to `HealthChecks` themselves. */
  readonly checks?: (app: INestApplication) => Readonly<Record<string, HealthCheck>>;
  /** Transport strategies (NatsDoors) whose handlers stand in the module. They open after `ready`. */
  readonly doors?: (app: INestApplication) => readonly CustomTransportStrategy[];
  /** Resolves when the service may take work. HTTP answers already; `/health/ready` says 503 until then. */
  readonly ready?: (app: INestApplication, tools: ServiceTools) => Promise<void>;
  /** Stops taking work: called first on shutdown, before doors and module are closed. */
  readonly stop?: (app: INestApplication) => Promise<void>;
}

export interface RunningService {
  readonly app: NestFastifyApplication;
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  /** Stops everything as a signal would, without ending the process. */
  stop(): Promise<void>;
}

/**
 * Every `main.ts`: reads settings, makes the Nest application, answers HTTP (health, metrics, the module's controllers),
 * waits for `ready`, opens the doors, and prints `{"ready":"<name>","http":"…"}` on standard output. SIGTERM and SIGINT stop it:
 * `stop`, doors, then Nest's own hooks; exit code 0, or 1 when that takes longer than `SHUTDOWN_LIMIT_MS`. Unusable
 * settings are listed on standard error and end the process with exit code 78.
 */
export async function startService<S extends Spec>(options: ServiceOptions<S>): Promise<RunningService> {
  const settings = readSettings(options.settings);
  const http = settings as SettingsOf<typeof httpSettings>;
  const log = jsonLogger(options.name, { level: http.logLevel });
  const stopping = new AbortController();
  const tools: ServiceTools = { log, stopping: stopping.signal };
  log.info('starting', { settings: summaryOf(settings) });
  collectDefaultMetrics({ register: metrics });
  const root = { module: class Root {}, imports: [HealthModule.register(), options.module(settings, tools)] };
  const app = await NestFactory.create<NestFastifyApplication>(root, new FastifyAdapter(), { logger: log });
  const health = app.get(HealthChecks);
  for (const [name, check] of Object.entries(options.checks?.(app) ?? {})) health.add(name, check);
  await options.configure?.(app);
  await app.listen(http.httpPort, http.httpHost);
  await options.ready?.(app, tools);
  for (const strategy of options.doors?.(app) ?? []) app.connectMicroservice({ strategy }, { inheritAppConfig: true });
  await app.startAllMicroservices();
  const url = await app.getUrl();
  process.stdout.write(`${JSON.stringify({ ready: options.name, http: url })}\n`);
  return { app, url, stop: () => app.close() };
}
