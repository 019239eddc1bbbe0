import { beforeEach, describe, expect, it } from '@jest/globals';
import { systemClock } from '#clock';
import type { AcquireRequest, Granted, SettleRequest } from '#contracts';
import { silentLog } from '#telemetry';
import { demoConfig, MINUTE_START } from './domain/demo-books.fixture.spec.js';
import { LedgerChanges } from './domain/ledger-changes.js';
import { QuotaHandler } from './quota.handler.js';
import { SimulatedLedgerStore, SimulatedTables } from './simulated.ledger-store.js';

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

  const open = (): SimulatedLedgerStore =>
    new SimulatedLedgerStore(tables, {
      nowMs: () => nowMs,
      beforeCommit: () => faults.beforeCommit?.(),
      afterCommit: () => {
        commits += 1;
        faults.afterCommit?.();
      },
    });

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
    tables = new SimulatedTables();
    faults = { beforeCommit: null, afterCommit: null };
    commits = 0;
    const store = open();
    const changes = new LedgerChanges();
    await store.apply({ versions: [{ version: 1, origin: 'file', config: demoConfig([{ max: 10 }]) }], changes });
    handler = new QuotaHandler(systemClock, silentLog);
    await handler.begin(store);
  });

  it('decides and commits together what came together', async () => {
    const answers = await Promise.all(Array.from({ length: 30 }, (_, index) => acquire(`r${index}`)));
    expect(answers.filter(({ answer }) => answer === 'granted')).toHaveLength(10);
    expect(answers.filter(({ answer }) => answer === 'refused')).toHaveLength(20);
    expect(commits).toBe(1);
    expect(tables.grants.size).toBe(10);
  });

  it('gives a request that comes twice at once one grant', async () => {
    const [one, two] = await Promise.all([acquire('same'), acquire('same')]);
    expect(one).toEqual(two);
    expect(tables.grants.size).toBe(1);
  });

  it('decides again what a failed turn left undone', async () => {
    failOnce('beforeCommit');
    const answers = await Promise.all([acquire('one'), acquire('two')]);
    expect(answers.map(({ answer }) => answer)).toEqual(['granted', 'granted']);
    expect(tables.grants.size).toBe(2);
  });

  it('finds the grant again where the commit took effect and its answer was lost', async () => {
    failOnce('afterCommit');
    const answer = (await acquire('one', 4)) as Granted;
    expect(answer.calls).toBe(4);
    expect([...tables.grants.keys()]).toEqual([answer.grantId]);
    expect((await acquire('rest', 9)) as Granted).toMatchObject({ calls: 6 });
  });

  it('settles once where the commit took effect and its answer was lost', async () => {
    const { grantId } = (await acquire('one', 4)) as Granted;
    failOnce('afterCommit');
    expect(await settle(grantId, { returned: 3 })).toMatchObject({ answer: 'settled', returned: 3, open: 1 });
    expect([...tables.minutes.values()]).toMatchObject([{ granted: 4, returned: 3, open: 1 }]);
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
    const next = new QuotaHandler(systemClock, silentLog);
    await next.begin(open());
    nowMs += 1_500;
    const answer = await next.ask(CCAI, { verb: 'acquire', body: request('one', 4) });
    expect(answer).toMatchObject({
      answer: 'granted',
      grantId: [...tables.grants.keys()][0],
      calls: 4,
      validForMs: 8_500,
    });
    expect(await unanswered).toMatchObject({ answer: 'unavailable' });
    expect(tables.grants.size).toBe(1);
  });

  it('gives up on a request that fails every turn, and on no other', async () => {
    faults.beforeCommit = () => {
      throw new Error('it cannot be stored');
    };
    const bad = acquire('bad');
    expect(await bad).toMatchObject({ code: 'internal_error' });
    faults.beforeCommit = null;
    expect(await acquire('good')).toMatchObject({ answer: 'granted' });
  });

  it('expires what nobody settled, and answers the late settle', async () => {
    const { grantId, settleWithinMs } = (await acquire('one', 2)) as Granted;
    nowMs += settleWithinMs;
    await acquire('wakes the clock');
    handler.expireDue();
    await acquire('comes after');
    expect(await settle(grantId, { returned: 2 })).toMatchObject({ late: true, expired: 2, open: 0 });
    expect(tables.events.map(({ event }) => event)).toContain('expired');
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
