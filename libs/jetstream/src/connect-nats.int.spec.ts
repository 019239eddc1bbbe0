import { afterEach, describe, expect, it } from '@jest/globals';
import type { NatsConnection } from '@nats-io/transport-node';
import { silentLog } from '#telemetry';
import { testNats, type TestNats } from '../../../test/support/servers.js';
import { until } from '../../../test/support/until.js';
import { checkNats, closeNats, connectNats, isOlder } from './connect-nats.js';
import { durabilityNote } from './durability-note.js';

describe('the connection to NATS', () => {
  let server: TestNats | null = null;
  let nc: NatsConnection | null = null;

  afterEach(async () => {
    await nc?.close();
    await server?.stop();
    nc = null;
    server = null;
  });

  it('waits for a server that is not there yet, and says so', async () => {
    server = await testNats({ own: true });
    await server.kill9();
    const said: string[] = [];
    const connecting = connectNats({
      servers: server.url,
      name: 'spec',
      log: { ...silentLog, warn: (message) => said.push(message) },
    });
    await until('it says that it waits', () => said.includes('NATS is not there yet'));

    await server.restart();

    nc = await connecting;
    expect(checkNats(nc)()).toBeNull();
  });

  it('can be given up waiting for', async () => {
    const giveUp = new AbortController();
    const connecting = connectNats({ servers: 'nats://127.0.0.1:1', name: 'spec', signal: giveUp.signal });

    giveUp.abort(new Error('stopping'));

    await expect(connecting).rejects.toThrow('stopping');
  });

  it('tells when it is lost, and comes back by itself', async () => {
    server = await testNats({ own: true });
    const said: string[] = [];
    const say = (message: string) => said.push(message);
    nc = await connectNats({ servers: server.url, name: 'spec', log: { ...silentLog, info: say, warn: say } });
    const check = checkNats(nc);

    await server.kill9();
    await until('it is unwell', () => check() === 'disconnected; reconnecting');
    await server.restart();

    await until('it is well again', () => check() === null);
    expect(said).toEqual(['connected to NATS', 'NATS connection lost; reconnecting', 'NATS connection is back']);
  });

  it('closes at once while the server is away', async () => {
    server = await testNats({ own: true });
    const mine = await connectNats({ servers: server.url, name: 'spec' });
    await server.kill9();
    await until('it is unwell', () => checkNats(mine)() !== null);

    await closeNats(mine);

    expect(checkNats(mine)()).toBe('the connection is closed');
  });

  it('says what an acknowledgement is worth', async () => {
    server = await testNats();
    nc = await connectNats({ servers: server.url, name: 'spec' });

    const { serverVersion, acknowledged, note } = durabilityNote(nc);

    expect(serverVersion).toBe(server.version);
    expect(acknowledged).toBe(isOlder(server.version, '2.10.0') ? 'not-fsynced' : 'by-configuration');
    expect(note).toContain('sync_interval: always');
  });
});
