import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import pg from 'pg';
import { testPostgres, type TestPostgres } from '../../../test/support/servers.js';
import { until } from '../../../test/support/until.js';
import { OwnershipLost } from './errors.js';
import { acquireOwnership, type Ownership, type OwnershipOptions } from './ownership.js';

describe('ownership', () => {
  let database: TestPostgres;
  let admin: pg.Client;
  let held: Ownership[] = [];

  beforeAll(async () => {
    database = await testPostgres();
    admin = new pg.Client({ connectionString: database.url });
    await admin.connect();
    await admin.query('CREATE TABLE thing (id bigint)');
  });
  afterEach(async () => {
    await Promise.all(held.map((one) => one.release()));
    held = [];
  });
  afterAll(async () => {
    await admin?.end();
    await database?.drop();
  });

  const acquire = async (applicationName: string, more: Partial<OwnershipOptions> = {}): Promise<Ownership> => {
    const one = await acquireOwnership({ url: database.url, key: 'books', applicationName, pollMs: 20, ...more });
    held.push(one);
    return one;
  };
  const cut = (applicationName: string) =>
    admin.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1', [
      applicationName,
    ]);

  it('is had by one at a time, and passes on release', async () => {
    const first = await acquire('first');
    let second: Ownership | null = null;
    const waiting = acquire('second').then((one) => {
      second = one;
      return one;
    });
    const connections = () => admin.query("SELECT 1 FROM pg_stat_activity WHERE application_name = 'second'");
    await until('the second waits', async () => (await connections()).rowCount === 1);
    expect(second).toBeNull();

    await first.release();

    expect((await waiting).isHeld()).toBe(true);
    expect(first.isHeld()).toBe(false);
  });

  it('is had for different keys by different owners', async () => {
    const books = await acquire('a', { key: 'demo' });
    const others = await acquire('b', { key: 'acme' });

    expect([books.isHeld(), others.isHeld()]).toEqual([true, true]);
  });

  it('tells its loss when the connection ends, and another takes over', async () => {
    const losses: OwnershipLost[] = [];
    const first = await acquire('doomed', { onLost: (error) => losses.push(error) });
    const waiting = acquire('heir');

    await cut('doomed');

    await until('the loss is told', () => losses.length === 1);
    expect(losses[0]).toBeInstanceOf(OwnershipLost);
    expect(first.isHeld()).toBe(false);
    expect(first.ended.aborted).toBe(true);
    expect((await waiting).isHeld()).toBe(true);
  });

  it('does not tell a release as a loss', async () => {
    let losses = 0;
    const first = await acquire('first', { onLost: () => (losses += 1) });

    await first.release();

    expect(first.ended.reason).toBeInstanceOf(OwnershipLost);
    expect(losses).toBe(0);
  });

  it('can be given up waiting for', async () => {
    await acquire('first');
    const giveUp = new AbortController();
    const waiting = acquire('second', { signal: giveUp.signal });

    giveUp.abort(new Error('stopping'));

    await expect(waiting).rejects.toThrow('stopping');
    const left = () => admin.query("SELECT 1 FROM pg_stat_activity WHERE application_name = 'second'");
    await until('its connection is gone', async () => (await left()).rowCount === 0);
  });

  it('commits on the connection that holds it, in turn', async () => {
    const owner = await acquire('writer');

    const ids = await Promise.all(
      [1, 2, 3].map((id) =>
        owner.transaction(
          async (tx) => (await tx.query<{ id: number }>('INSERT INTO thing VALUES ($1) RETURNING id', [id]))[0]?.id,
        ),
      ),
    );

    expect(ids).toEqual([1, 2, 3]);
    expect((await admin.query('SELECT id FROM thing ORDER BY id')).rowCount).toBe(3);
  });

  it('lets one transaction take longer than its bound, and no other', async () => {
    const ownership = await acquire('patient', { answerTimeoutMs: 200 });
    const slow = (options?: { statementTimeoutMs: number }) =>
      ownership.transaction((tx) => tx.query<{ waited: number }>('SELECT 1 AS waited FROM pg_sleep(0.5)'), options);
    expect(await slow({ statementTimeoutMs: 5_000 })).toEqual([{ waited: 1 }]);
    await expect(slow()).rejects.toThrow(/timeout/);
  });

  it('has Postgres give up on a host that is gone with an answer on its way to it', async () => {
    const ownership = await acquire('silent');
    // As asked for: what is shown is the socket's own, 0 where the system hasn't this.
    const asked = `SELECT reset_val AS "askedMs" FROM pg_settings WHERE name = 'tcp_user_timeout'`;
    expect(await ownership.transaction((tx) => tx.query(asked))).toEqual([{ askedMs: '15000' }]);
  });

  it('cannot commit once it is lost', async () => {
    await admin.query('DELETE FROM thing');
    const owner = await acquire('fenced');

    const failed = owner.transaction(async (tx) => {
      await tx.query('INSERT INTO thing VALUES (9)');
      await cut('fenced');
      await tx.query('SELECT 1');
    });

    await expect(failed).rejects.toMatchObject({ code: 'postgres_unavailable' });
    await until('the loss is noticed', () => !owner.isHeld());
    await expect(owner.transaction((tx) => tx.query('SELECT 1'))).rejects.toBeInstanceOf(OwnershipLost);
    expect((await admin.query('SELECT id FROM thing')).rowCount).toBe(0);
  });

  it('is lost when heartbeats are not answered', async () => {
    const path = await silenceablePath(database.url);
    const owner = await acquire('silent', { url: path.url, heartbeatMs: 20, answerTimeoutMs: 300 });

    path.silence();

    await until('the loss is noticed', () => !owner.isHeld());
    expect((owner.ended.reason as Error).message).toContain('no answer to a heartbeat');
    path.close();
  });
});

/** A way to the same database that can fall silent without closing, as a pulled cable does. */
async function silenceablePath(databaseUrl: string) {
  const target = new URL(databaseUrl);
  const sockets: Socket[] = [];
  const server = createServer((near) => {
    const far = connect(Number(target.port), target.hostname);
    sockets.push(near, far);
    for (const socket of [near, far]) socket.on('error', () => undefined);
    near.pipe(far);
    far.pipe(near);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = new URL(databaseUrl);
  url.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: url.href,
    silence: () => {
      for (const socket of sockets) socket.unpipe().pause();
    },
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
