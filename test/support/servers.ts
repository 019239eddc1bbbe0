import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import pg from 'pg';
import { canSyncAlways, natsServerConfig, natsUsers } from '#accounts';
import type { AccountConfig } from '#contracts';
import { type NatsConfigNeeds, startNats } from '#embedded';

/** A database of the spec file's own; empty. */
export interface TestPostgres {
  readonly url: string;
  /** Ends its connections and removes it. */
  drop(): Promise<void>;
}

/** A nats-server with JetStream for one spec file. */
export interface TestNats {
  readonly url: string;
  readonly monitorUrl: string;
  readonly version: string;
  /** Where its files lie on this machine; empty where it runs in a container. */
  readonly storeDir: string;
  /** How to connect as one of `natsUsers(accounts)`. Only where accounts were given. */
  credentials(user: string): { readonly user: string; readonly password: string; readonly inboxPrefix: string };
  /** Stops it and removes its files. */
  stop(): Promise<void>;
  /** kill -9; `restart` brings it back on the same URL with what it had stored. */
  kill9(): Promise<void>;
  restart(): Promise<void>;
}

export interface TestNatsOptions {
  /** Makes the server ask for users and passwords, with the permissions that these accounts imply. */
  readonly accounts?: readonly AccountConfig[];
  /** For tests that kill or restart the server: never the shared one that TEST_NATS_URL may name. */
  readonly own?: boolean;
}

/** Makes a fresh database for this spec file on the run's Postgres. */
export async function testPostgres(): Promise<TestPostgres> {
  const serverUrl = given('SLUICE_TEST_POSTGRES');
  const name = `sluice_test_${randomBytes(8).toString('hex')}`;
  await runOn(serverUrl, `CREATE DATABASE ${name}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => runOn(serverUrl, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`) };
}

/**
 * Starts a nats-server for this spec file. With TEST_NATS_URL and neither `accounts` nor `own`, that server is used
 * instead, emptied; its `kill9` and `restart` throw.
 */
export async function testNats(options: TestNatsOptions = {}): Promise<TestNats> {
  const { accounts, own = false } = options;
  const shared = process.env['TEST_NATS_URL'];
  if (shared !== undefined && shared !== '' && accounts === undefined && !own) return emptied(shared);
  const users = natsUsers(accounts ?? []);
  const passwords = Object.fromEntries(users.map(({ user }) => [user, randomBytes(12).toString('base64url')]));
  const config = (needs: NatsConfigNeeds, host: string): string =>
    accounts === undefined
      ? openConfig(needs, host)
      : natsServerConfig({ ...needs, host, accounts, passwords, syncAlways: canSyncAlways(needs.serverVersion) });
  const server =
    process.env['TEST_INFRA'] === 'containers'
      ? await inContainer((needs) => config(needs, '0.0.0.0'))
      : await startOwn((needs) => config(needs, '127.0.0.1'));
  return {
    ...server,
    credentials: (user) => {
      const known = users.find((candidate) => candidate.user === user);
      if (known === undefined || accounts === undefined) throw new Error(`These accounts have no NATS user ${user}.`);
      return { user, password: passwords[user] ?? '', inboxPrefix: known.inboxPrefix };
    },
  };
}

/** Loaded only where it is asked for: testcontainers takes its time. */
async function inContainer(config: (needs: NatsConfigNeeds) => string): Promise<Omit<TestNats, 'credentials'>> {
  const { startNatsContainer } = await import('./nats-container.js');
  return startNatsContainer(config);
}

async function startOwn(config: (needs: NatsConfigNeeds) => string): Promise<Omit<TestNats, 'credentials'>> {
  const storeDir = mkdtempSync(path.join(given('SLUICE_TEST_DIRECTORY'), 'nats-'));
  const server = await startNats({ storeDir, config });
  return {
    url: server.url,
    monitorUrl: server.monitorUrl,
    version: server.version,
    storeDir,
    kill9: () => server.kill9(),
    restart: () => server.restart(),
    stop: async () => {
      await server.stop();
      if (existsSync(storeDir)) rmSync(storeDir, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

async function emptied(url: string): Promise<TestNats> {
  const nc = await connect({ servers: url });
  const jsm = await jetstreamManager(nc);
  for await (const stream of jsm.streams.list()) await jsm.streams.delete(stream.config.name);
  const version = nc.info?.version ?? '';
  await nc.close();
  const refuse = (): Promise<never> =>
    Promise.reject(new Error('TEST_NATS_URL names a shared server: this test needs testNats({ own: true }).'));
  return {
    url,
    monitorUrl: process.env['TEST_NATS_MONITOR_URL'] ?? '',
    version,
    storeDir: '',
    credentials: () => {
      throw new Error('A server without accounts has no users.');
    },
    stop: () => Promise.resolve(),
    kill9: refuse,
    restart: refuse,
  };
}

function openConfig({ port, monitorPort, storeDir }: NatsConfigNeeds, host: string): string {
  return [
    'server_name: test',
    `host: "${host}"`,
    `port: ${port}`,
    `http: "${host}:${monitorPort}"`,
    `jetstream { store_dir: "${storeDir}" }`,
    '',
  ].join('\n');
}

async function runOn(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

function given(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === '')
    throw new Error(`${name} is missing: run the tests by jest's projects "integration" or "flow".`);
  return value;
}
