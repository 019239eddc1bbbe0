import { describe, expect, it } from '@jest/globals';
import { account } from '../test/account.js';
import { canSyncAlways, natsServerConfig, type NatsServerSettings } from './nats-server-config.js';
import { natsUsers } from './nats-users.js';

describe('The NATS users of the accounts', () => {
  it('are one for each service and one for each integration, each with an inbox of its own', () => {
    const users = natsUsers([account('acme'), account('globex')]);
    expect(users.map(({ user, inboxPrefix }) => [user, inboxPrefix])).toEqual([
      ['ingest', '_SVC.ingest'],
      ['command-planner', '_SVC.command-planner'],
      ['quota-ledger', '_SVC.quota-ledger'],
      ['crm-writer', '_SVC.crm-writer'],
      ['operator', '_SVC.operator'],
      ['acme.ccai', '_INBOX.acme.ccai'],
      ['acme.reporting', '_INBOX.acme.reporting'],
      ['globex.ccai', '_INBOX.globex.ccai'],
      ['globex.reporting', '_INBOX.globex.reporting'],
    ]);
    for (const { inboxPrefix, permissions } of users) expect(permissions.subscribe).toContain(`${inboxPrefix}.>`);
  });

  it('may, as an integration, send exactly its own requests', () => {
    const reporting = natsUsers([account('acme')]).find(({ user }) => user === 'acme.reporting');
    expect(reporting?.permissions).toEqual({
      publish: [
        'quota.v1.acme.reporting.acquire',
        'quota.v1.acme.reporting.settle',
        'quota.v1.acme.reporting.cancel',
        'quota.v1.acme.reporting.hold',
        'quota.v1.acme.reporting.release',
        'quota.v1.acme.reporting.observe',
        'quota.v1.acme.usage',
        'quota.v1.acme.forecast',
      ],
      subscribe: ['_INBOX.acme.reporting.>'],
    });
  });
});

describe("nats-server's configuration", () => {
  it('asks for fsync before each acknowledgement only of servers that know how', () => {
    expect(natsServerConfig(settings({ serverVersion: '2.10.0' }))).toContain('sync_interval: always');
    expect(natsServerConfig(settings({ serverVersion: '3.0.1' }))).toContain('sync_interval: always');
    expect(natsServerConfig(settings({ serverVersion: '2.9.25' }))).not.toContain('sync_interval');
    expect(natsServerConfig(settings({ serverVersion: '2.10.0', syncAlways: false }))).not.toContain('sync_interval');
    expect(['2.9.10', '2.10.1', '1.99.0'].map(canSyncAlways)).toEqual([false, true, false]);
  });

  it('holds every user with its password and permissions, in quotes', () => {
    const text = natsServerConfig(settings({ storeDir: '/data with "quotes"' }));
    expect(text).toContain('store_dir: "/data with \\"quotes\\""');
    for (const { user } of natsUsers([account('acme')]))
      expect(text).toContain(`user: "${user}"\n      password: "secret-of-${user}"`);
    expect(text).toContain('"$KV.accounts.>"');
  });

  it.each([
    ['is missing', {}],
    ['is empty', { ingest: '' }],
    ['looks like a bcrypt hash', { ingest: '$2a$11$abc' }],
    ['would need quoting', { ingest: 'two\nlines' }],
  ])('is refused where a password %s', (_what, { ingest }: { ingest?: string }) => {
    const { ingest: _dropped, ...others } = passwords();
    const given = ingest === undefined ? others : { ...others, ingest };
    expect(() => natsServerConfig(settings({ passwords: given }))).toThrow(/NATS password .*ingest/);
  });
});

function settings(changed: Partial<NatsServerSettings>): NatsServerSettings {
  return {
    accounts: [account('acme')],
    passwords: passwords(),
    serverVersion: '2.10.27',
    port: 4222,
    monitorPort: 8222,
    host: '127.0.0.1',
    storeDir: '/data',
    syncAlways: true,
    ...changed,
  };
}

function passwords(): Record<string, string> {
  return Object.fromEntries(natsUsers([account('acme')]).map(({ user }) => [user, `secret-of-${user}`]));
}
