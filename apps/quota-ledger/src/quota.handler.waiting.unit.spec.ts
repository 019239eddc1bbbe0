import { beforeEach, describe, expect, it } from '@jest/globals';
import type { Clock } from '#clock';
import type { AccountConfig, AcquireRequest, Granted, SettleRequest } from '#contracts';
import { silentLog } from '#telemetry';
import { demoConfig, MINUTE_START } from './domain/demo-books.fixture.spec.js';
import { partitionOf } from './domain/partition.js';
import { QuotaHandler } from './quota.handler.js';
import { SimulatedLedgerStore, SimulatedTables } from './simulated.ledger-store.js';

const PARTITION = partitionOf('demo');
const CCAI = { account: 'demo', integration: 'ccai' };

/** Time that goes on by hand: whoever sleeps wakes when it has come. */
class HandClock implements Clock {
  private ms = 0;
  private sleepers: { readonly at: number; readonly wake: () => void }[] = [];

  nowMs(): number {
    return MINUTE_START + 20_000 + this.ms;
  }

  monotonicMs(): number {
    return this.ms;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const sleeper = { at: this.ms + ms, wake: resolve };
      this.sleepers.push(sleeper);
      signal?.addEventListener('abort', () => {
        this.sleepers = this.sleepers.filter((one) => one !== sleeper);
        reject(signal.reason as Error);
      });
    });
  }

  /** Goes on, in small steps, so that whoever wakes does what there is to do at its time. */
  async pass(ms: number): Promise<void> {
    const until = this.ms + ms;
    while (this.ms < until) {
      this.ms = Math.min(until, this.ms + 25);
      const due = this.sleepers.filter(({ at }) => at <= this.ms);
      this.sleepers = this.sleepers.filter(({ at }) => at > this.ms);
      for (const { wake } of due) wake();
      await breath();
    }
  }

  get asleep(): number {
    return this.sleepers.length;
  }
}

async function breath(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
}

function acquiring(requestId: string, more: Partial<AcquireRequest> = {}): AcquireRequest {
  return { requestId, kind: 'other', calls: { min: 1, max: 1 }, priority: 'normal', waitMs: 60_000, ...more };
}

describe('requests that wait in the ledger', () => {
  let clock: HandClock;
  let tables: SimulatedTables;
  let fault: (() => void) | null;
  let store: SimulatedLedgerStore;
  let handler: QuotaHandler;

  const acquire = (requestId: string, more: Partial<AcquireRequest> = {}) =>
    handler.ask(CCAI, { verb: 'acquire', body: acquiring(requestId, more) });

  /** What came of a request, as soon as something did. */
  const watched = (asked: ReturnType<typeof acquire>) => {
    const seen: { answer?: Awaited<typeof asked>; at?: number } = {};
    void asked.then((answer) => Object.assign(seen, { answer, at: clock.monotonicMs() }));
    return seen;
  };

  const settle = (grantId: string, told: Partial<SettleRequest>) =>
    handler.ask(CCAI, { verb: 'settle', body: { requestId: 's', grantId, used: [], returned: 0, ...told } });

  const fill = async (calls = 10): Promise<Granted> =>
    (await acquire('all', { calls: { min: calls, max: calls }, waitMs: 0 })) as Granted;

  const apply = async (version: number, config: AccountConfig): Promise<void> => {
    await store.addVersions([{ version, origin: 'file', config }], 0);
    await handler.useVersions(await store.versions(0));
  };

  beforeEach(async () => {
    clock = new HandClock();
    tables = new SimulatedTables();
    fault = null;
    store = new SimulatedLedgerStore(tables, { nowMs: () => clock.nowMs(), beforeCommit: () => fault?.() });
    handler = new QuotaHandler(clock, silentLog);
    handler.begin(store, clock.nowMs(), clock.monotonicMs());
    await store.addVersions([{ version: 1, origin: 'file', config: demoConfig([{ max: 10 }]) }], 0);
    await handler.useVersions(await store.versions(0));
    await handler.adopt(PARTITION, (await store.take(PARTITION))!);
  });

  it('are answered at their deadline though nothing else happens', async () => {
    await fill();
    const waits = watched(acquire('waits', { waitMs: 700 }));
    await clock.pass(650);
    expect(waits.answer).toBeUndefined();
    await clock.pass(100);
    expect(waits.answer).toMatchObject({ answer: 'refused', limit: 'minute' });
    expect(clock.asleep).toBe(0);
  });

  it('leave no alarm behind where their partition is given back', async () => {
    await fill();
    const waits = watched(acquire('waits'));
    await clock.pass(100);
    await handler.drop(PARTITION);
    expect(waits.answer).toMatchObject({ answer: 'unavailable' });
    expect(clock.asleep).toBe(0);
  });

  it('keep nobody awake where a new version answers them', async () => {
    await fill();
    const waits = watched(acquire('waits'));
    await clock.pass(100);
    const config = demoConfig([{ max: 10 }]);
    delete (config.integrations as Record<string, unknown>)['ccai'];
    await apply(2, config);
    await clock.pass(100);
    expect(waits.answer).toMatchObject({ answer: 'rejected', code: 'unknown_integration' });
    let turns = 0;
    const setNow = globalThis.setImmediate;
    globalThis.setImmediate = ((work: () => void) => {
      turns += 1;
      return setNow(work);
    }) as typeof setImmediate;
    await clock.pass(70_000);
    globalThis.setImmediate = setNow;
    // Those of this test itself, five for each step of its clock.
    expect(turns).toBeLessThanOrEqual((70_000 / 25) * 5);
  });

  it('pass on what those before them wait for no longer', async () => {
    const { grantId } = await fill(8);
    await settle(grantId, { used: Array.from({ length: 8 }, () => ({ sentAgoMs: 0, answeredAgoMs: 0 })) });
    const large = watched(acquire('large', { calls: { min: 5, max: 5 }, waitMs: 1_000 }));
    await breath();
    const small = watched(acquire('small', { waitMs: 30_000 }));
    await clock.pass(900);
    expect(small.answer).toBeUndefined();
    await clock.pass(150);
    expect(large.answer).toMatchObject({ answer: 'refused' });
    expect(small.answer).toMatchObject({ answer: 'granted' });
  });

  it('wait no longer than they asked to, however often the books are rebuilt or changed', async () => {
    await fill();
    const waits = watched(acquire('waits', { waitMs: 1_000 }));
    await clock.pass(600);
    await apply(2, demoConfig([{ max: 9 }]));
    await clock.pass(300);
    expect(waits.answer).toBeUndefined();
    await clock.pass(150);
    expect(waits.answer).toMatchObject({ answer: 'refused' });
  });

  it('are told times from when they asked, also after a new version', async () => {
    const { grantId } = await fill();
    const waits = watched(acquire('waits'));
    await clock.pass(4_000);
    await apply(2, demoConfig([{ max: 9 }]));
    await clock.pass(1_000);
    await settle(grantId, { returned: 10 });
    await breath();
    expect(waits.answer).toMatchObject({ answer: 'granted', validForMs: 15_000 });
  });

  it('wait no longer than they asked to where the turn that granted them failed', async () => {
    const { grantId } = await fill();
    const waits = watched(acquire('waits', { waitMs: 1_000 }));
    await clock.pass(900);
    // The connection is lost, and somebody else's calls come first.
    fault = () => {
      fault = null;
      throw new Error('the connection was lost');
    };
    const settled = settle(grantId, { returned: 10 });
    await clock.pass(25);
    await settled;
    await clock.pass(75);
    expect(waits.answer).toBeDefined();
  });

  it('are answered where a request cannot be decided at all, and so are its neighbours', async () => {
    await fill(5);
    const waits = watched(acquire('waits', { calls: { min: 6, max: 6 } }));
    await breath();
    const poison = {
      ...acquiring('poison'),
      get calls(): never {
        throw new Error('a bug');
      },
    };
    const asked = [
      acquire('before', { waitMs: 0 }),
      handler.ask(CCAI, { verb: 'acquire', body: poison }),
      acquire('after', { waitMs: 0, kind: 'tickets.list' }),
    ];
    const seen = asked.map(watched);
    await clock.pass(200);
    expect(seen[1]!.answer).toMatchObject({ answer: 'unavailable', code: 'internal_error' });
    expect(seen[0]!.answer).toBeDefined();
    expect(seen[2]!.answer).toBeDefined();
    expect(waits.answer).toBeUndefined();
    await clock.pass(60_000);
    expect(waits.answer).toBeDefined();
  });
});
