import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { testPostgres, type TestPostgres } from '../../../test/support/servers.js';
import { until } from '../../../test/support/until.js';
import { OwnershipLost } from './errors.js';
import { LockSession, type LockSessionOptions } from './lock-session.js';

const MEMBERS = 'members';
/** Nobody here stands still on purpose unless its heartbeats are this far apart. */
const NEVER_MS = 3_600_000;

describe('a session that holds locks', () => {
  let database: TestPostgres;
  let admin: pg.Client;
  let opened: LockSession[] = [];

  beforeAll(async () => {
    database = await testPostgres();
    admin = new pg.Client({ connectionString: database.url });
    await admin.connect();
    await admin.query('CREATE TABLE thing (id bigint PRIMARY KEY)');
  });
  afterEach(async () => {
    await Promise.all(opened.map((one) => one.close()));
    opened = [];
  });
  afterAll(async () => {
    await admin?.end();
    await database?.drop();
  });

  const open = async (applicationName: string, more: Partial<LockSessionOptions> = {}): Promise<LockSession> => {
    const one = await LockSession.open({ url: database.url, name: 'test', applicationName, ...more });
    opened.push(one);
    return one;
  };
  const stalledBy = (one: LockSession, idleMs: number) => one.endStalled(MEMBERS, { idleMs, busyMs: NEVER_MS });

  it('has several keys, each given back for itself', async () => {
    const [one, two] = [await open('one'), await open('two')];
    expect([await one.tryLock('a'), await one.tryLock('b'), await two.tryLock('a')]).toEqual([true, true, false]);
    await one.unlock('a');
    expect([await two.tryLock('a'), await two.tryLock('b')]).toEqual([true, false]);
  });

  it('gives all back with its end', async () => {
    const [one, two] = [await open('one'), await open('two')];
    for (const key of ['a', 'b']) await one.tryLock(key);
    await one.close();
    expect([await two.tryLock('a'), await two.tryLock('b')]).toEqual([true, true]);
    await expect(one.tryLock('a')).rejects.toBeInstanceOf(OwnershipLost);
  });

  it('is counted among those who joined, once, for as long as it lives', async () => {
    const sessions = [await open('one'), await open('two'), await open('three')];
    for (const session of sessions) await session.join(MEMBERS);
    await sessions[0]!.join(MEMBERS);
    await sessions[0]!.tryLock('something else');
    expect(await sessions[0]!.holders(MEMBERS)).toBe(3);
    await sessions[2]!.close();
    await until('two are left', async () => (await sessions[0]!.holders(MEMBERS)) === 2);
    expect(await sessions[0]!.holders('nobody has this')).toBe(0);
  });

  it('ends who stands still, at the second look, and nobody who said anything in between', async () => {
    const watcher = await open('watcher');
    const still = await open('still', { heartbeatMs: NEVER_MS });
    const talks = await open('talks', { heartbeatMs: NEVER_MS });
    for (const session of [watcher, still, talks]) await session.join(MEMBERS);
    expect(await stalledBy(watcher, -1)).toBe(0);
    await talks.holders(MEMBERS);
    expect([still.isHeld(), talks.isHeld()]).toEqual([true, true]);
    expect(await stalledBy(watcher, -1)).toBe(1);
    await until('it is told so', () => !still.isHeld());
    expect([watcher.isHeld(), talks.isHeld()]).toEqual([true, true]);
    expect(await stalledBy(watcher, NEVER_MS)).toBe(0);
    expect(await stalledBy(watcher, NEVER_MS)).toBe(0);
  });

  it('ends nobody who has not joined', async () => {
    const watcher = await open('watcher');
    const stranger = await open('stranger', { heartbeatMs: NEVER_MS });
    await stranger.tryLock('something else');
    for (let look = 0; look < 3; look += 1) expect(await stalledBy(watcher, -1)).toBe(0);
    expect(stranger.isHeld()).toBe(true);
  });

  it('does not take one at work in a long statement for one that stands still', async () => {
    const watcher = await open('watcher');
    const works = await open('works', { heartbeatMs: NEVER_MS });
    await works.join(MEMBERS);
    await admin.query('BEGIN');
    await admin.query('INSERT INTO thing VALUES (1)');
    const waiting = works.transaction((tx) => tx.query('INSERT INTO thing VALUES (1) ON CONFLICT DO NOTHING'));
    const isWaiting = async () =>
      (await admin.query(`SELECT FROM pg_stat_activity WHERE application_name = 'works' AND wait_event_type = 'Lock'`))
        .rowCount === 1;
    await until('it waits for a row', isWaiting);
    for (let look = 0; look < 3; look += 1) expect(await stalledBy(watcher, -1)).toBe(0);
    await admin.query('COMMIT');
    await waiting;
    expect(works.isHeld()).toBe(true);
  });

  it('is ended by Postgres where it stands still inside a transaction that may not', async () => {
    const still = await open('still', { heartbeatMs: NEVER_MS });
    const failed = still.transaction(
      async (tx) => {
        await tx.query('INSERT INTO thing VALUES (2)');
        await until('its connection has ended', () => !still.isHeld());
        await tx.query('SELECT 1');
      },
      { idleTimeoutMs: 50 },
    );
    await expect(failed).rejects.toMatchObject({ code: 'postgres_unavailable' });
    expect((await admin.query('SELECT FROM thing WHERE id = 2')).rowCount).toBe(0);
  });
});
