import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { jetstreamManager } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/transport-node';
import type { AccountConfig, PublishedAccount } from '#contracts';
import { testNats, type TestNats } from '../../../test/support/servers.js';
import { until } from '../../../test/support/until.js';
import { type AccountDirectory, publishAccount, removeAccount, watchAccounts } from './account-directory.js';
import { connectNats } from './connect-nats.js';

const account = (name: string, version: number): PublishedAccount => ({
  version,
  config: { name, batching: 'auto' } as AccountConfig,
});

describe('the directory of accounts', () => {
  let server: TestNats;
  let nc: NatsConnection;
  let directories: AccountDirectory[] = [];

  beforeAll(async () => {
    server = await testNats({ own: true });
    nc = await connectNats({ servers: server.url, name: 'spec' });
  });
  afterEach(async () => {
    await Promise.all(directories.map((directory) => directory.stop()));
    directories = [];
    await (await jetstreamManager(nc)).streams.delete('KV_accounts').catch(() => false);
  });
  afterAll(async () => {
    await nc?.close();
    await server?.stop();
  });

  const watch = (options: Parameters<typeof watchAccounts>[1] = {}): AccountDirectory => {
    const directory = watchAccounts(nc, options);
    directories.push(directory);
    return directory;
  };

  it('has every account that was published before, once it is loaded', async () => {
    await publishAccount(nc, account('demo', 1));
    await publishAccount(nc, account('acme', 3));

    const directory = watch();
    await directory.loaded;

    expect(directory.all().map(({ config }) => config.name)).toEqual(['acme', 'demo']);
    expect(directory.get('acme')).toEqual(account('acme', 3));
    expect(directory.get('nobody')).toBeNull();
    expect(directory.check()).toBeNull();
  });

  it('waits for the bucket, and says so', async () => {
    const directory = watch();
    await until('it says that it waits', () => directory.check()?.includes('stream not found'));

    await publishAccount(nc, account('demo', 1));

    await directory.loaded;
    expect(directory.get('demo')?.version).toBe(1);
  });

  it('is loaded at once where nothing is published yet', async () => {
    await publishAccount(nc, account('demo', 1));
    await removeAccount(nc, 'demo');

    const directory = watch();

    await directory.loaded;
    expect(directory.all()).toEqual([]);
  });

  it('leaves out what is no account, and reads the others', async () => {
    await publishAccount(nc, account('acme', 1));
    const bucket = await new Kvm(nc).open('accounts');
    const bad = { broken: '{', none: 'null', shapeless: '{"answer":"granted","calls":1}', other: '' };
    for (const [key, value] of Object.entries({ ...bad, other: JSON.stringify(account('demo', 9)) }))
      await bucket.put(key, value);
    await publishAccount(nc, account('zeta', 1));

    const directory = watch();
    await directory.loaded;

    expect(directory.all().map(({ config }) => config.name)).toEqual(['acme', 'zeta']);
    expect(await publishAccount(nc, account('shapeless', 1))).toBe(true);
    await until('it is known', () => directory.get('shapeless')?.version === 1);
  });

  it('tells of changes and removals', async () => {
    const told: string[] = [];
    await publishAccount(nc, account('demo', 1));
    const directory = watch({
      onAccount: ({ config, version }) => told.push(`${config.name} ${version}`),
      onRemoved: (name) => told.push(`${name} removed`),
    });
    await directory.loaded;

    await publishAccount(nc, account('demo', 2));
    await removeAccount(nc, 'demo');

    await until('it is removed', () => told.includes('demo removed'));
    expect(told).toEqual(['demo 1', 'demo 2', 'demo removed']);
    expect(directory.get('demo')).toBeNull();
  });

  it('keeps a version from being replaced by an older one', async () => {
    expect(await publishAccount(nc, account('demo', 5))).toBe(true);
    expect(await publishAccount(nc, account('demo', 5))).toBe(false);
    expect(await publishAccount(nc, account('demo', 4))).toBe(false);

    const directory = watch();
    await directory.loaded;
    expect(directory.get('demo')?.version).toBe(5);
  });

  it('takes over what is published although newer versions were, as after a restore from a backup', async () => {
    await publishAccount(nc, account('demo', 5));
    const told: number[] = [];
    const directory = watch({ onAccount: ({ version }) => told.push(version) });
    await directory.loaded;

    expect(await publishAccount(nc, account('demo', 2), { evenIfNewer: true })).toBe(true);
    expect(await publishAccount(nc, account('demo', 2), { evenIfNewer: true })).toBe(false);

    await until('it is known', () => directory.get('demo')?.version === 2);
    expect(told).toEqual([5, 2]);
  });

  it('follows on after the death of the server', async () => {
    await publishAccount(nc, account('demo', 1));
    const directory = watch();
    await directory.loaded;

    await server.kill9();
    await server.restart();
    await until('it is published', () => publishAccount(nc, account('demo', 2)).catch(() => false));

    await until('it is known', () => directory.get('demo')?.version === 2, 30_000);
    expect(directory.check()).toBeNull();
  }, 45_000);
});
