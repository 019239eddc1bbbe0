import 'reflect-metadata';
import type { AddressInfo } from 'node:net';
import type { DynamicModule, INestApplication, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { CustomTransportStrategy } from '@nestjs/microservices';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import {
  type httpSettings,
  readSettings,
  SettingsError,
  type SettingsOf,
  type SettingsSpec,
  summaryOf,
} from '#settings';
import { collectDefaultMetrics } from 'prom-client';
import { type HealthCheck, HealthChecks, HealthModule } from './health.js';
import { type JsonLogger, jsonLogger } from './json-logger.js';
import { metrics } from './metrics.js';

/** From the signal to the end of the process, at most. */
export const SHUTDOWN_LIMIT_MS = 9_500;
/** Exit code of a process whose settings can't be used (EX_CONFIG of sysexits.h). */
const EXIT_SETTINGS = 78;
const BODY_LIMIT_BYTES = 1_048_576;
/** How long open HTTP requests may take to end; idle connections are closed at once. */
const HTTP_DRAIN_MS = 3_000;

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
  /** The root module, made from the settings. Its providers close their connections in `onApplicationShutdown`: then doors and HTTP are closed. */
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
 * waits for `ready`, opens the doors, and prints `{"ready":"<name>","http":"…"}` on standard output. SIGTERM and SIGINT stop
 * it: `stop`, doors, then Nest's own hooks and HTTP; exit code 0, or 1 when that takes longer than `SHUTDOWN_LIMIT_MS`.
 * Unusable settings are listed on standard error and end the process with exit code 78, any other failure with 1.
 */
export async function startService<S extends Spec>(options: ServiceOptions<S>): Promise<RunningService> {
  const service = new Service(options, settingsOrExit(options));
  return service.start();
}

function settingsOrExit<S extends Spec>({ name, settings }: ServiceOptions<S>): SettingsOf<S> {
  try {
    return readSettings(settings);
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    jsonLogger(name).error('settings are not usable', { problems: error.problems });
    process.exit(EXIT_SETTINGS);
  }
}

/** One running service: start → ready → stopping → stopped. */
class Service<S extends Spec> {
  readonly #options: ServiceOptions<S>;
  readonly #settings: SettingsOf<S>;
  readonly #http: SettingsOf<typeof httpSettings>;
  readonly #log: JsonLogger;
  readonly #stopping = new AbortController();
  #app: NestFastifyApplication | null = null;
  #doors: readonly CustomTransportStrategy[] = [];
  #ready = false;
  #stopped: Promise<void> | null = null;

  constructor(options: ServiceOptions<S>, settings: SettingsOf<S>) {
    this.#options = options;
    this.#settings = settings;
    // Generic S hides that it contains httpSettings' keys.
    this.#http = settings as SettingsOf<typeof httpSettings>;
    this.#log = jsonLogger(options.name, { level: this.#http.logLevel });
  }

  async start(): Promise<RunningService> {
    const { name } = this.#options;
    this.#log.info('starting', { settings: summaryOf(this.#settings), node: process.version });
    this.#listenToProcess();
    try {
      const url = await this.#open();
      process.stdout.write(`${JSON.stringify({ ready: name, http: url })}\n`);
      this.#log.info('ready', { http: url });
      const app = this.#app as NestFastifyApplication;
      return { app, url, stop: () => this.#stop() };
    } catch (error) {
      if (this.#stopping.signal.aborted) return new Promise(() => undefined);
      this.#log.error('start failed', { error });
      return process.exit(1);
    }
  }

  async #open(): Promise<string> {
    const { configure, checks, ready, doors } = this.#options;
    const tools: ServiceTools = { log: this.#log, stopping: this.#stopping.signal };
    // Once a process, however many services it runs.
    if (!metrics.getSingleMetric('process_cpu_seconds_total')) collectDefaultMetrics({ register: metrics });
    const app = (this.#app = await this.#create(tools));
    const health = app.get(HealthChecks);
    health.add('service', () => (this.#ready ? null : this.#stopping.signal.aborted ? 'stopping' : 'starting'));
    for (const [check, run] of Object.entries(checks?.(app) ?? {})) health.add(check, run);
    await configure?.(app);
    await app.listen(this.#http.httpPort, this.#http.httpHost);
    await ready?.(app, tools);
    this.#doors = doors?.(app) ?? [];
    for (const strategy of this.#doors) app.connectMicroservice({ strategy }, { inheritAppConfig: true });
    await app.startAllMicroservices();
    this.#stopping.signal.throwIfAborted();
    this.#ready = true;
    return urlOf(app, this.#http.httpHost);
  }

  #create(tools: ServiceTools): Promise<NestFastifyApplication> {
    const root = { module: Root, imports: [HealthModule.register(), this.#options.module(this.#settings, tools)] };
    const adapter = new FastifyAdapter({
      bodyLimit: this.#options.http?.bodyLimitBytes ?? BODY_LIMIT_BYTES,
      forceCloseConnections: 'idle',
    });
    return NestFactory.create<NestFastifyApplication>(root, adapter, { logger: this.#log, abortOnError: false });
  }

  #listenToProcess(): void {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void this.#stopAndExit(signal));
    process.on('uncaughtException', (error) => this.#die('uncaught exception', error));
    process.on('unhandledRejection', (error) => this.#die('unhandled rejection', error));
  }

  /** State in memory can't be trusted any more: end at once, as after kill -9; everything is built to survive that. */
  #die(what: string, error: unknown): void {
    this.#log.error(what, { error: error instanceof Error ? error : String(error) });
    process.exit(1);
  }

  async #stopAndExit(signal: string): Promise<void> {
    this.#log.info('stopping', { signal });
    setTimeout(() => {
      this.#log.error('not stopped in time', { limitMs: SHUTDOWN_LIMIT_MS });
      process.exit(1);
    }, SHUTDOWN_LIMIT_MS).unref();
    try {
      await this.#stop();
    } catch (error) {
      this.#log.error('stopping failed', { error });
      process.exit(1);
    }
    this.#log.info('stopped');
    process.exit(0);
  }

  #stop(): Promise<void> {
    return (this.#stopped ??= this.#stopOnce());
  }

  async #stopOnce(): Promise<void> {
    this.#ready = false;
    this.#stopping.abort(new Error('the service is stopping'));
    const app = this.#app;
    if (!app) return;
    await this.#options.stop?.(app);
    // Doors first: what arrived before is answered while everything behind them still works.
    await Promise.all(this.#doors.map((door) => door.close() as unknown));
    const late = setTimeout(() => app.getHttpServer().closeAllConnections(), HTTP_DRAIN_MS);
    try {
      await app.close();
    } finally {
      clearTimeout(late);
    }
  }
}

class Root {}

function urlOf(app: NestFastifyApplication, host: string): string {
  const { port } = app.getHttpServer().address() as AddressInfo;
  const reachable = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host;
  return `http://${reachable}:${port}`;
}
