import { mkdirSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { natsServerConfig, natsUsers, parseAccounts } from '#accounts';
import type { AccountConfig } from '#contracts';
import { type App, type AppName, startApp } from './app.js';
import { ensureNatsServer, type Say } from './install-nats-server.js';
import { endLeftover } from './leftover.js';
import { type EmbeddedNats, startNats } from './nats-server.js';
import { type EmbeddedPostgres, startPostgres } from './postgres.js';
import { passwordsFor, secretFile } from './secrets.js';
import { forgetDirectory, removeAtEnd } from './watchdog.js';

/** Sluice's services; the simulator is no part of it. */
export type ServiceName = Exclude<AppName, 'zendesk-simulator'>;

/** Which may start at the same time: accounts come from the ledger, so it goes first. */
const START_ORDER: readonly (readonly ServiceName[])[] = [
  ['quota-ledger'],
  ['command-planner', 'crm-writer', 'ingest'],
];
/** What takes work in stops first; the ledger last, since the writer still settles. */
const STOP_ORDER: readonly (readonly AppName[])[] = [
  ['ingest', 'command-planner'],
  ['crm-writer'],
  ['quota-ledger'],
  ['zendesk-simulator'],
];
/** JetStream sets a stream's whole size aside when it is made: with the services' default, a nearly full disk would do for none. */
const STREAM_BYTES = 128 * 1024 * 1024;
const NEEDS_POSTGRES: readonly AppName[] = ['quota-ledger', 'crm-writer'];

export interface StackOptions {
  /** Everything it keeps: servers' data, passwords, configuration, logs. Used again by the next start. */
  readonly dataDir: string;
  /** True: what an earlier start left in the folder is removed first. */
  readonly fresh?: boolean;
  /** False: the folder is removed by `stop`, and when we are killed. */
  readonly persistent: boolean;
  /** accounts.yaml; made after the simulator is up, so that it can name its address. */
  readonly accountsYaml: (at: { readonly simulatorUrl: string }) => string;
  /** Command line of the simulator (docs/simulator.md); null = none is started, and `simulatorUrl` is empty. */
  readonly simulator: { readonly args?: readonly string[] } | null;
  /** Which services; all where left out. */
  readonly apps?: readonly ServiceName[];
  /** Settings for every service: the secrets that the accounts name as `env:NAME`, LOG_LEVEL… */
  readonly env?: Readonly<Record<string, string>>;
  /** More settings for one service. */
  readonly appEnv?: Readonly<Partial<Record<ServiceName, Readonly<Record<string, string>>>>>;
  /** False: faster, but a crash of the machine may lose what was acknowledged. Default true (where the server can). */
  readonly durable?: boolean;
  /** Told what happens, line by line. */
  readonly say?: Say;
  /** Aborted: starting ends after the step it is at, and `startStack` throws the signal's reason. */
  readonly stopping?: AbortSignal;
}

/** The whole of Sluice on this machine, on free ports of 127.0.0.1. */
export interface Stack {
  readonly postgres: EmbeddedPostgres;
  readonly nats: EmbeddedNats;
  readonly simulator: App | null;
  readonly accounts: readonly AccountConfig[];
  readonly accountsFile: string;
  readonly logDirectory: string;
  /** A running service. Throws where it wasn't among those to start. */
  service(name: ServiceName): App;
  /** Starts another process of a service, as a second replica would be. Stopped with the rest. */
  startAnother(name: ServiceName, env?: Readonly<Record<string, string>>): Promise<App>;
  /** How to connect to NATS as one of `natsUsers(accounts)`. */
  credentials(user: string): { readonly user: string; readonly password: string; readonly inboxPrefix: string };
  /** Stops everything in order; fine to call twice, and after parts were killed. */
  stop(): Promise<void>;
}

/**
 * Starts Postgres, nats-server (fetching it if there is none), the simulator if wanted, and the services, each as soon as
 * what it needs is there. Resolves when all are ready; where one doesn't come up, stops the others and throws.
 * Nothing outlives this process, however it ends.
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const starting = new StackBeingStarted(options);
  try {
    return await starting.start();
  } catch (error) {
    await starting.stop();
    throw error;
  }
}

class StackBeingStarted {
  private readonly apps: App[] = [];
  private postgresStarting: Promise<EmbeddedPostgres> | null = null;
  private nats: EmbeddedNats | null = null;
  private passwords: Record<string, string> = {};
  private accounts: readonly AccountConfig[] = [];
  private isFolderOurs = false;
  private stopped: Promise<void> | null = null;

  constructor(private readonly options: StackOptions) {}

  async start(): Promise<Stack> {
    const { options } = this;
    const say = options.say ?? (() => undefined);
    await this.takeFolder();
    const program = ensureNatsServer({ say });
    say(`Starting Postgres and nats-server ${program.version}`);
    this.postgresStarting = startPostgres({
      dataDir: this.pathOf('postgres'),
      persistent: true,
      durable: options.durable ?? true,
    });
    // Awaited below, and by stop() where something else fails before.
    this.postgresStarting.catch(() => undefined);
    const simulator = options.simulator === null ? null : await this.startSimulator(options.simulator.args ?? []);
    const accountsFile = this.writeAccounts(options.accountsYaml({ simulatorUrl: simulator?.url ?? '' }));
    const nats = await startNats({
      storeDir: this.pathOf('nats'),
      program,
      config: (needs) =>
        natsServerConfig({
          ...needs,
          accounts: this.accounts,
          passwords: this.passwords,
          host: '127.0.0.1',
          syncAlways: options.durable ?? true,
        }),
    });
    this.nats = nats;
    options.stopping?.throwIfAborted();
    const postgres = await this.postgresStarting;
    secretFile(this.pathOf('secrets/postgres-url'), postgres.url);
    const wanted = options.apps ?? START_ORDER.flat();
    for (const group of START_ORDER) {
      options.stopping?.throwIfAborted();
      const names = group.filter((name) => wanted.includes(name));
      if (names.length > 0) say(`Starting ${names.join(', ')}`);
      await allOrFirstError(names.map((name) => this.startService(name)));
    }
    return {
      postgres,
      nats,
      simulator,
      accounts: this.accounts,
      accountsFile,
      logDirectory: this.pathOf('logs'),
      service: (name) => this.service(name),
      startAnother: (name, env) => this.startService(name, env),
      credentials: (user) => this.credentials(user),
      stop: () => this.stop(),
    };
  }

  /** Nothing is touched before it is certain that no other start uses it. */
  private async takeFolder(): Promise<void> {
    const { dataDir, fresh = false, persistent } = this.options;
    await endLeftover(this.pathOf('nats/nats-server.pid'), 'nats-server', 'SIGTERM');
    await endLeftover(this.pathOf('postgres/data/postmaster.pid'), 'postgres', 'SIGINT');
    if (fresh) await rm(dataDir, { recursive: true, force: true, maxRetries: 5 });
    mkdirSync(dataDir, { recursive: true });
    this.isFolderOurs = true;
    if (!persistent) removeAtEnd(dataDir);
  }

  stop(): Promise<void> {
    this.stopped ??= this.stopAll();
    return this.stopped;
  }

  private async stopAll(): Promise<void> {
    for (const group of STOP_ORDER)
      await Promise.all(this.apps.filter(({ app }) => group.includes(app)).map((app) => app.stop()));
    const postgres = await this.postgresStarting?.catch(() => null);
    await Promise.all([this.nats?.stop(), postgres?.stop()]);
    if (this.options.persistent || !this.isFolderOurs) return;
    await rm(this.options.dataDir, { recursive: true, force: true, maxRetries: 5 });
    forgetDirectory(this.options.dataDir);
  }

  private async startSimulator(args: readonly string[]): Promise<App> {
    const app = await startApp({
      app: 'zendesk-simulator',
      env: {},
      args: ['--json', ...args],
      logFile: this.logFileOf('zendesk-simulator'),
    });
    this.apps.push(app);
    return app;
  }

  private writeAccounts(yaml: string): string {
    const parsed = parseAccounts(yaml);
    if (!parsed.ok) {
      const problems = parsed.problems.map(
        ({ line, column, message }) => `  line ${line}, column ${column}: ${message}`,
      );
      throw new Error(`The accounts file has problems:\n${problems.join('\n')}`);
    }
    this.accounts = parsed.accounts;
    const users = natsUsers(parsed.accounts).map(({ user }) => user);
    this.passwords = passwordsFor(users, this.pathOf('secrets/nats'));
    const file = this.pathOf('accounts.yaml');
    writeFileSync(file, yaml);
    return file;
  }

  private async startService(name: ServiceName, more: Readonly<Record<string, string>> = {}): Promise<App> {
    const replica = this.apps.filter(({ app }) => app === name).length;
    const logFile = this.logFileOf(replica === 0 ? name : `${name}-${replica + 1}`);
    const app = await startApp({ app: name, env: { ...this.environmentOf(name), ...more }, logFile });
    this.apps.push(app);
    return app;
  }

  private environmentOf(name: ServiceName): Record<string, string> {
    return {
      NATS_URL: this.nats?.url ?? '',
      NATS_USER: name,
      NATS_PASSWORD_FILE: this.pathOf(`secrets/nats/${name}`),
      STREAM_MAX_BYTES: String(STREAM_BYTES),
      ...(NEEDS_POSTGRES.includes(name) ? { POSTGRES_URL_FILE: this.pathOf('secrets/postgres-url') } : {}),
      ...(name === 'quota-ledger' ? { ACCOUNTS_FILE: this.pathOf('accounts.yaml') } : {}),
      ...this.options.env,
      ...this.options.appEnv?.[name],
    };
  }

  private service(name: ServiceName): App {
    const app = this.apps.find((candidate) => candidate.app === name);
    if (app === undefined) throw new Error(`${name} isn't among the services that were started.`);
    return app;
  }

  private credentials(user: string): { user: string; password: string; inboxPrefix: string } {
    const known = natsUsers(this.accounts).find((candidate) => candidate.user === user);
    if (known === undefined) throw new Error(`These accounts have no NATS user ${user}.`);
    return { user, password: this.passwords[user] ?? '', inboxPrefix: known.inboxPrefix };
  }

  private pathOf(name: string): string {
    return path.join(this.options.dataDir, name);
  }

  private logFileOf(name: string): string {
    return this.pathOf(`logs/${name}.log`);
  }
}

/** Waits for all, so that none is still starting when the others are stopped; then throws the first error. */
async function allOrFirstError(starts: readonly Promise<unknown>[]): Promise<void> {
  const results = await Promise.allSettled(starts);
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
