import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import pg from 'pg';
import { canSyncAlways, natsServerConfig, natsUsers, parseAccounts } from '#accounts';
import {
  type App,
  type EmbeddedNats,
  type EmbeddedPostgres,
  ensureNatsServer,
  startApp,
  startNats,
  startPostgres,
} from '#embedded';
import type { EchoAsked, EchoTold } from './echo.process.js';
import { INTEGRATION, QuotaSender } from './quota-sender.js';
import type { LimiterAsked, LimiterTold } from './rate-limiter-flexible.process.js';
import { SideProcess } from './side-process.js';

/** Nothing is refused: no run asks for so many. */
const NEVER_REACHED = 100_000_000;
const STREAM_BYTES = 8 * 1024 ** 3;
const SENDER_INBOX = '_INBOX.bench';

/** The account whose minute is to be reached. */
export interface TightAccount {
  readonly name: string;
  readonly limitPerMinute: number;
  readonly timeScale: number;
  readonly requestTimeoutMs: number;
}

export interface FieldOptions {
  readonly accounts: number;
  readonly tight: TightAccount;
  /** Folder for CPU profiles of ledger and echo; null = none are made. */
  readonly profileFolder: string | null;
  readonly say: (line: string) => void;
}

/** Postgres, nats-server, one ledger, the yardsticks and a sender: each a process of its own, the sender in ours. */
export interface Field {
  readonly accounts: readonly string[];
  readonly postgres: EmbeddedPostgres;
  readonly nats: EmbeddedNats;
  readonly ledger: App;
  readonly echo: SideProcess<EchoAsked, EchoTold>;
  readonly limiter: SideProcess<LimiterAsked, LimiterTold>;
  /** The sender's connection: it may ask as any integration of any account. */
  readonly nc: NatsConnection;
  readonly sender: QuotaSender;
  /** A connection for looking, and for the ceiling of commits. */
  readonly client: pg.Client;
  readonly syncAlways: boolean;
  close(): Promise<void>;
}

/** Starts everything; what was started is stopped where something fails halfway. */
export async function openField(options: FieldOptions): Promise<Field> {
  const closers: (() => unknown)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).toReversed()) await closer();
  };
  try {
    return { ...(await start(options, closers)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function start(options: FieldOptions, closers: (() => unknown)[]): Promise<Omit<Field, 'close'>> {
  const { say, profileFolder } = options;
  const program = ensureNatsServer({ say });
  const directory = mkdtempSync(path.join(tmpdir(), 'sluice-bench-'));
  closers.push(() => rmSync(directory, { recursive: true, force: true, maxRetries: 5 }));
  const postgres = await startPostgres({ dataDir: path.join(directory, 'postgres'), persistent: false, durable: true });
  closers.push(() => postgres.stop());
  const client = new pg.Client({ connectionString: postgres.url });
  await client.connect();
  closers.push(() => client.end());

  const names = Array.from({ length: options.accounts }, (_, index) => `a${String(index).padStart(3, '0')}`);
  const yaml = accountsYaml(names, options.tight);
  const accountsFile = path.join(directory, 'accounts.yaml');
  writeFileSync(accountsFile, yaml);
  const passwords = { sender: secret(), echo: secret(), ledger: secret() };
  const nats = await startNats({
    storeDir: path.join(directory, 'nats'),
    program,
    config: (needs) => natsConfig(yaml, needs, passwords),
  });
  closers.push(() => nats.stop());
  say(`nats-server ${nats.version}, Postgres, one ledger, ${names.length} accounts and a sender on one machine`);
  if (profileFolder !== null) mkdirSync(profileFolder, { recursive: true });
  const ledger = await startApp({
    app: 'quota-ledger',
    logFile: path.join(directory, 'quota-ledger.log'),
    env: {
      NATS_URL: nats.url,
      NATS_USER: 'quota-ledger',
      NATS_PASSWORD: passwords.ledger,
      POSTGRES_URL: postgres.url,
      ACCOUNTS_FILE: accountsFile,
      STREAM_MAX_BYTES: String(STREAM_BYTES),
      LOG_LEVEL: 'warn',
      ...(profileFolder === null ? {} : { NODE_OPTIONS: profileFlags(profileFolder, 'ledger').join(' ') }),
    },
  });
  closers.push(() => ledger.stop());

  const echoFlags = profileFolder === null ? [] : profileFlags(profileFolder, 'echo');
  const echo = new SideProcess<EchoAsked, EchoTold>(new URL('echo.process.js', import.meta.url), echoFlags);
  closers.push(() => echo.stop());
  await echo.ask({ servers: nats.url, user: 'echo', pass: passwords.echo });
  const limiterProgram = new URL('rate-limiter-flexible.process.js', import.meta.url);
  const limiter = new SideProcess<LimiterAsked, LimiterTold>(limiterProgram);
  closers.push(() => limiter.stop());
  const nc = await connect({
    servers: nats.url,
    user: 'sender',
    pass: passwords.sender,
    inboxPrefix: SENDER_INBOX,
    noAsyncTraces: true,
  });
  closers.push(() => nc.close());
  const sender = new QuotaSender(nc, `${SENDER_INBOX}.lane`);
  const syncAlways = canSyncAlways(nats.version);
  return { accounts: names, postgres, nats, ledger, echo, limiter, nc, sender, client, syncAlways };
}

function profileFlags(folder: string, name: string): string[] {
  const loaded = new URL('profile-process.js', import.meta.url);
  loaded.search = encodeURIComponent(path.resolve(folder, `${name}.cpuprofile`));
  return ['--import', loaded.href];
}

function secret(): string {
  return randomBytes(12).toString('hex');
}

function accountsYaml(names: readonly string[], tight: TightAccount): string {
  const crm = `type: zendesk, baseUrl: 'http://127.0.0.1:1', licence: team, credential: { kind: oauth, tokenRef: 'env:NONE' }`;
  const wide = `minute: { max: ${NEVER_REACHED} }, ceiling: { max: ${NEVER_REACHED} }, day: { max: ${NEVER_REACHED} }`;
  const scaled = `timeScale: ${tight.timeScale}, requestTimeoutMs: ${tight.requestTimeoutMs}`;
  const integrations = `integrations: { ${INTEGRATION}: {} }`;
  return [
    'accounts:',
    ...names.map((name) => `  ${name}: { crm: { ${crm} }, limits: { ${wide} }, ${integrations} }`),
    `  ${tight.name}: { crm: { ${crm}, ${scaled} }, limits: { minute: { max: ${tight.limitPerMinute} } }, ${integrations} }`,
    '',
  ].join('\n');
}

/**
 * The configuration that Sluice makes of these accounts, every user and permission included, and two users more: one
 * connection is one user, and the sender is to ask as many.
 */
function natsConfig(
  yaml: string,
  needs: { port: number; monitorPort: number; storeDir: string; serverVersion: string },
  passwords: { readonly sender: string; readonly echo: string; readonly ledger: string },
): string {
  const parsed = parseAccounts(yaml);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  const { accounts } = parsed;
  const made = Object.fromEntries(natsUsers(accounts).map(({ user }) => [user, secret()]));
  const own = [
    userBlock('sender', passwords.sender, ['quota.v1.>', 'echo0.v1.>'], [`${SENDER_INBOX}.>`]),
    userBlock('echo', passwords.echo, ['_INBOX.>'], ['echo0.v1.>']),
  ];
  const config = natsServerConfig({
    ...needs,
    accounts,
    passwords: { ...made, 'quota-ledger': passwords.ledger },
    host: '127.0.0.1',
    syncAlways: true,
  });
  const [before, after, ...more] = config.split('  users: [\n');
  if (before === undefined || after === undefined || more.length > 0)
    throw new Error('the configuration has no place for the users of the bench');
  return `${before}  users: [\n${own.join('\n')}\n${after}`;
}

function userBlock(user: string, password: string, publish: readonly string[], subscribe: readonly string[]): string {
  const permissions = `{ publish: { allow: ${JSON.stringify(publish)} }, subscribe: { allow: ${JSON.stringify(subscribe)} } }`;
  return `    { user: "${user}", password: "${password}", permissions: ${permissions} }`;
}
