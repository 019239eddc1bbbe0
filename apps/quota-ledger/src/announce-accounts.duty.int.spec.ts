import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { NatsConnection } from '@nats-io/transport-node';
import { systemClock } from '#clock';
import type { PublishedAccount } from '#contracts';
import { type AccountDirectory, connectNats, watchAccounts } from '#jetstream';
import { silentLog } from '#telemetry';
import { testNats, type TestNats } from '../../../test/support/servers.js';
import { until } from '../../../test/support/until.js';
import { AnnounceAccountsDuty } from './announce-accounts.duty.js';
import { demoConfig } from './domain/demo-books.fixture.spec.js';

function version(number: number, max: number): PublishedAccount {
  return { version: number, config: demoConfig([{ max }]) };
}

describe('announcing accounts', () => {
  let server: TestNats;
  let nc: NatsConnection;
  let directory: AccountDirectory;
  const stopping = new AbortController();

  beforeAll(async () => {
    server = await testNats({ own: true });
    nc = await connectNats({ servers: server.url, name: 'spec' });
    directory = watchAccounts(nc);
  });
  afterAll(async () => {
    stopping.abort();
    await directory?.stop();
    await nc?.close();
    await server?.stop();
  });

  const maxOf = () => directory.get('demo')?.config.limits[0]?.max;

  it('takes newer versions back at a takeover, and only then', async () => {
    const duty = new AnnounceAccountsDuty(nc, 1, systemClock, silentLog, stopping.signal);
    duty.announce([version(7, 70)]);
    await until('it is known', () => maxOf() === 70);
    duty.announce([version(3, 30)]);
    await duty.settled();
    duty.announceTakeover([version(3, 31)]);
    // Comes before the former is through, and takes its place.
    duty.announce([version(4, 40)]);
    await duty.settled();
    await until('it is known', () => maxOf() === 40);
    expect(directory.get('demo')?.version).toBe(4);
  });

  it('announces what is added once all before is through', async () => {
    const duty = new AnnounceAccountsDuty(nc, 1, systemClock, silentLog, stopping.signal);
    duty.announceTakeover([version(1, 10)]);
    await until('it is through', () => duty.check() === null);
    duty.announce([version(2, 20)]);
    await duty.settled();
    await until('it is known', () => maxOf() === 20);
    expect(duty.check()).toBeNull();
  });
});
