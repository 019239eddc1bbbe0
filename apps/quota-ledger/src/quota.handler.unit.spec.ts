import { beforeEach, describe, expect, it } from '@jest/globals';
import { type Clock, systemClock } from '#clock';
import type { AcquireRequest, Granted, SettleRequest } from '#contracts';
import { silentLog } from '#telemetry';
import { demoConfig, MINUTE_START } from './domain/demo-books.fixture.spec.js';
import { partitionOf } from './domain/partition.js';
import { QuotaHandler } from './quota.handler.js';
import { SimulatedLedgerStore, SimulatedTables } from './simulated.ledger-store.js';

const PARTITION = partitionOf('demo');
const CCAI = { account: 'demo', integration: 'ccai' };

function request(requestId: string, max = 1): AcquireRequest {
  return { requestId, kind: 'other', calls: { min: 1, max }, priority: 'normal', waitMs: 0 };
}

describe('the quota handler', () => {
  let nowMs: number;
  let tables: SimulatedTables;
  let faults: { beforeCommit: (() => void) | null; afterCommit: (() => void) | null };
  let commits: number;
  let handler: QuotaHandler;
  const monotonic = { ms: 0 };
  const clock: Clock = { ...systemClock, monotonicMs: () => monotonic.ms };

  const open = (): SimulatedLedgerStore =>
    new SimulatedLedgerStore(tables, {
      nowMs: () => nowMs,
      beforeCommit: () => faults.beforeCommit?.(),
      afterCommit: () => {
        commits += 1;
        faults.afterCommit?.();
      },
    });

  /** Takes the account's partition over, from whoever had it. */
  const begin = async (): Promise<void> => {
    for (const one of tables.open) one.end();
    const store = open();
    handler = new QuotaHandler(clock, silentLog);
    handler.begin(store, nowMs, clock.monotonicMs());
    await handler.useVersions(await store.versions(0));
    const epoch = await store.take(PARTITION);
    await handler.adopt(PARTITION, epoch!);
  };

  const pass = (ms: number): void => {
    nowMs += ms;
    monotonic.ms += ms;
  };

  const told = (event: string): object[] => tables.events().flatMap((one) => (one.event === event ? one.entries : []));

  const acquire = (requestId: string, max = 1) => handler.ask(CCAI, { verb: 'acquire', body: request(requestId, max) });

  const settle = (grantId: string, told: Partial<SettleRequest>) =>
    handler.ask(CCAI, { verb: 'settle', body: { requestId: 's', grantId, used: [], returned: 0, ...told } });

  const failOnce = (when: 'beforeCommit' | 'afterCommit'): void => {
    faults[when] = () => {
      faults[when] = null;
      throw new Error('the connection was lost');
    };
  };

  beforeEach(async () => {
    nowMs = MINUTE_START + 20_000;
    monotonic.ms = 0;
    tables = new SimulatedTables();
    faults = { beforeCommit: null, afterCommit: null };
    await open().addVersions([{ version: 1, origin: 'file', config: demoConfig([{ max: 10 }]) }], 0);
    await begin();
    commits = 0;
  });

  it('decides and commits together what came together', async () => {
    const answers = await Promise.all(Array.from({ length: 30 }, (_, index) => acquire(`r${index}`)));
    expect(answers.filter(({ answer }) => answer === 'granted')).toHaveLength(10);
    expect(answers.filter(({ answer }) => answer === 'refused')).toHaveLength(20);
    expect(commits).toBe(1);
    expect(told('granted')).toHaveLength(10);
  });

  it('gives a request that comes twice at once one grant', async () => {
    const [one, two] = await Promise.all([acquire('same'), acquire('same')]);
    expect(one).toEqual(two);
    expect(told('granted')).toHaveLength(1);
  });

  it('decides again what a failed turn left undone', async () => {
    failOnce('beforeCommit');
    const answers = await Promise.all([acquire('one'), acquire('two')]);
    expect(answers.map(({ answer }) => answer)).toEqual(['granted', 'granted']);
    expect(told('granted')).toHaveLength(2);
  });

  it('finds the grant again where the commit took effect and its answer was lost', async () => {
    failOnce('afterCommit');
    const answer = (await acquire('one', 4)) as Granted;
    expect(answer.calls).toBe(4);
    expect(told('granted')).toMatchObject([{ grantId: answer.grantId }]);
    expect((await acquire('rest', 9)) as Granted).toMatchObject({ calls: 6 });
  });

  it('settles once where the commit took effect and its answer was lost', async () => {
    const { grantId } = (await acquire('one', 4)) as Granted;
    failOnce('afterCommit');
    expect(await settle(grantId, { returned: 3 })).toMatchObject({ answer: 'settled', returned: 3, open: 1 });
    expect(handler.booksOf('demo')!.usage.rows()).toMatchObject([{ granted: 4, returned: 3, open: 1 }]);
    await handler.checkpoint(PARTITION, true);
    expect([...tables.usage.minute.values()]).toMatchObject([{ granted: 4, returned: 3, open: 1 }]);
    expect(handler.booksOf('demo')!.usage.isEmpty()).toBe(true);
  });

  it('gives the client that asks again after a kill the same grant, from the next owner', async () => {
    // The first owner commits and is gone before it can answer.
    let gone = (): void => undefined;
    const killed = new Promise<void>((resolve) => (gone = resolve));
    faults.afterCommit = () => {
      faults.afterCommit = null;
      gone();
      throw new Error('killed');
    };
    const unanswered = acquire('one', 4);
    await killed;
    const before = handler;
    await begin();
    expect(await unanswered).toMatchObject({ answer: 'unavailable' });
    await before.end();
    pass(1_500);
    const answer = await acquire('one', 4);
    expect(told('granted')).toMatchObject([{ grantId: (answer as Granted).grantId }]);
    expect(answer).toMatchObject({ answer: 'granted', calls: 4, validForMs: 8_500 });
  });

  it('gives up on a request that fails every turn, and on no other', async () => {
    faults.beforeCommit = () => {
      throw new Error('it cannot be stored');
    };
    const bad = acquire('bad');
    expect(await bad).toMatchObject({ answer: 'unavailable', code: 'internal_error' });
    faults.beforeCommit = null;
    expect(await acquire('good')).toMatchObject({ answer: 'granted' });
  });

  it('expires what nobody settled, and answers the late settle', async () => {
    const { grantId, settleWithinMs } = (await acquire('one', 2)) as Granted;
    pass(settleWithinMs);
    handler.expireDue();
    await acquire('comes after');
    expect(await settle(grantId, { returned: 2 })).toMatchObject({ late: true, expired: 2, open: 0 });
    expect(told('expired')).toHaveLength(1);
  });

  it('gives the same settle the same answer when it comes twice at once', async () => {
    const { grantId } = (await acquire('one', 2)) as Granted;
    const [one, two] = await Promise.all([settle(grantId, { returned: 2 }), settle(grantId, { returned: 2 })]);
    expect(one).toMatchObject({ answer: 'settled', returned: 2 });
    expect(two).toEqual(one);
  });

  it('answers a settle in the turn in which its grant expires as late', async () => {
    const { grantId, settleWithinMs } = (await acquire('one', 2)) as Granted;
    pass(settleWithinMs);
    const late = settle(grantId, { returned: 2 });
    handler.expireDue();
    expect(await late).toMatchObject({ answer: 'settled', late: true, expired: 2 });
  });

  it('finds the grant of a request that is repeated in the turn in which it expires', async () => {
    const { grantId, settleWithinMs } = (await acquire('one', 2)) as Granted;
    pass(settleWithinMs);
    let turns = 0;
    faults.beforeCommit = () => (turns += 1);
    const again = acquire('one', 2);
    handler.expireDue();
    expect(await again).toMatchObject({ answer: 'granted', grantId, validForMs: 0 });
    expect(turns).toBe(1);
  });

  it('knows which ticket a refusal was about when its settle comes at once with it', async () => {
    const kind = 'tickets.update' as const;
    const body = { ...request('one'), kind, keys: [{ ticket: '7' }] };
    const { grantId } = (await handler.ask(CCAI, { verb: 'acquire', body })) as Granted;
    const headers = { 'zendesk-ratelimit-per-ticket-updates': 'total=30; remaining=0; resets=60' };
    const [, seen] = await Promise.all([
      settle(grantId, { used: [{ sentAgoMs: 5, answeredAgoMs: 1 }] }),
      handler.ask(CCAI, { verb: 'observe', body: { grantId, kind, status: 429, headers, answeredAgoMs: 1 } }),
    ]);
    expect(seen).toMatchObject({ closed: [{ limit: 'per-ticket-updates' }] });
  });

  it('forgets no window that is full while the database clock is set back', async () => {
    pass(35_000);
    const { grantId } = (await acquire('one', 10)) as Granted;
    await settle(grantId, { used: Array.from({ length: 10 }, () => ({ sentAgoMs: 0, answeredAgoMs: 0 })) });
    nowMs -= 350_000;
    monotonic.ms += 1_000;
    handler.noteClock(nowMs, monotonic.ms);
    monotonic.ms += 3_000;
    handler.expireDue();
    expect(await acquire('two')).toMatchObject({ answer: 'refused', limit: 'minute' });
  });

  it('gives no grant an id given before the tables came back from a backup', async () => {
    const backup = structuredClone(tables.versions);
    const before = (await acquire('one')) as Granted;
    tables = new SimulatedTables();
    for (const [account, versions] of backup) tables.versions.set(account, versions);
    pass(1_000);
    await begin();
    const after = (await acquire('two')) as Granted;
    expect(after.grantId).not.toBe(before.grantId);
  });

  it('lets a request wait for its turn, and answers both who asked twice', async () => {
    await acquire('all', 10);
    const body = { ...request('waits'), waitMs: 60_000 };
    const first = handler.ask(CCAI, { verb: 'acquire', body });
    const { grantId } = (await acquire('all', 10)) as Granted;
    pass(4_000);
    const again = handler.ask(CCAI, { verb: 'acquire', body });
    await acquire('all', 10);
    await settle(grantId, { returned: 10 });
    // Each counts from when it asked.
    expect(await first).toMatchObject({ answer: 'granted', calls: 1, validForMs: 14_000 });
    expect(await again).toEqual({ ...(await first), validForMs: 10_000, settleWithinMs: expect.any(Number) });
  });

  it('ends a wait on its word', async () => {
    await acquire('all', 10);
    const waits = handler.ask(CCAI, { verb: 'acquire', body: { ...request('waits'), waitMs: 60_000 } });
    const cancelled = await handler.ask(CCAI, { verb: 'cancel', body: { requestId: 'waits' } });
    expect(cancelled).toMatchObject({ answer: 'cancelled', was: 'waiting' });
    expect(await waits).toMatchObject({ answer: 'refused', limit: 'minute' });
  });

  it('lets what waited go on waiting after a turn that failed', async () => {
    const { grantId } = (await acquire('all', 10)) as Granted;
    const waits = handler.ask(CCAI, { verb: 'acquire', body: { ...request('waits'), waitMs: 60_000 } });
    failOnce('beforeCommit');
    await settle(grantId, { returned: 10 });
    expect(await waits).toMatchObject({ answer: 'granted' });
  });

  it('knows no account that was not declared, and answers nothing once it has ended', async () => {
    const stranger = { account: 'other', integration: 'ccai' };
    expect(await handler.ask(stranger, { verb: 'acquire', body: request('x') })).toMatchObject({
      code: 'unknown_account',
    });
    await handler.end();
    expect(await acquire('late')).toMatchObject({ answer: 'unavailable' });
  });
});
