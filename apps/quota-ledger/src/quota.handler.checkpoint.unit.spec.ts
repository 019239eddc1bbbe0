import { beforeEach, describe, expect, it } from '@jest/globals';
import { systemClock } from '#clock';
import type { AccountConfig, Granted } from '#contracts';
import { silentLog } from '#telemetry';
import { demoConfig, MINUTE_START } from './domain/demo-books.fixture.spec.js';
import { partitionOf } from './domain/partition.js';
import type { Checkpoint } from './ledger.store.js';
import { QuotaHandler } from './quota.handler.js';
import { SimulatedLedgerStore, SimulatedTables } from './simulated.ledger-store.js';

const PARTITION = partitionOf('demo');
const CCAI = { account: 'demo', integration: 'ccai' };
const NOW = MINUTE_START + 20_000;

/** Stores checkpoints when it is let, in whatever order, as connections of a pool do. */
class SlowStore extends SimulatedLedgerStore {
  slow = false;
  failing = false;
  readonly waiting: (() => void)[] = [];

  override async checkpoint(checkpoint: Checkpoint): Promise<void> {
    if (this.slow) await new Promise<void>((resolve) => this.waiting.push(resolve));
    if (this.failing) throw new Error('the connection was lost');
    return super.checkpoint(checkpoint);
  }
}

async function breath(): Promise<void> {
  for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
}

describe('storing usage while decisions go on', () => {
  let tables: SimulatedTables;
  let store: SlowStore;
  let handler: QuotaHandler;
  let fault: (() => void) | null;

  const acquire = async (requestId: string, calls: number): Promise<Granted> =>
    (await handler.ask(CCAI, {
      verb: 'acquire',
      body: { requestId, kind: 'other', calls: { min: calls, max: calls }, priority: 'normal', waitMs: 0 },
    })) as Granted;

  const use = ({ grantId, calls }: Granted) => {
    const used = Array.from({ length: calls }, () => ({ sentAgoMs: 0, answeredAgoMs: 0 }));
    return handler.ask(CCAI, { verb: 'settle', body: { requestId: `s${grantId}`, grantId, used, returned: 0 } });
  };

  const granted = async (): Promise<number> => {
    const span = { account: 'demo', per: 'minute', integration: null, fromMs: 0, toMs: NOW + 1, limitRows: 9 } as const;
    const rows = await handler.usage(
      'demo',
      (from) => from.usage(span),
      (at) => at,
      () => true,
    );
    return rows.reduce((sum, row) => sum + row.granted, 0);
  };

  const apply = async (version: number, config: AccountConfig): Promise<void> => {
    await store.addVersions([{ version, origin: 'file', config }], 0);
    await handler.useVersions(await store.versions(0));
  };

  beforeEach(async () => {
    tables = new SimulatedTables();
    fault = null;
    store = new SlowStore(tables, { nowMs: () => NOW, beforeCommit: () => fault?.() });
    handler = new QuotaHandler({ ...systemClock, monotonicMs: () => 0 }, silentLog);
    handler.begin(store, NOW, 0);
    await store.addVersions([{ version: 1, origin: 'file', config: demoConfig() }], 0);
    await handler.useVersions(await store.versions(0));
    await handler.adopt(PARTITION, (await store.take(PARTITION))!);
  });

  it('counts every call once where two checkpoints are asked for at once, and the later is the quicker', async () => {
    await acquire('one', 3);
    store.slow = true;
    const both = [handler.checkpoint(PARTITION, false), handler.checkpoint(PARTITION, true)];
    await breath();
    await acquire('two', 4);
    for (let i = 0; i < 3; i++) {
      store.waiting.pop()?.();
      await breath();
    }
    await Promise.all(both);
    store.slow = false;
    expect(await granted()).toBe(7);
  });

  it('counts every call once where the books are rebuilt while a checkpoint is stored', async () => {
    await acquire('one', 3);
    store.slow = true;
    const storing = handler.checkpoint(PARTITION, false);
    await breath();
    fault = () => {
      fault = null;
      throw new Error('the connection was lost');
    };
    const two = acquire('two', 4);
    await breath();
    store.slow = false;
    store.waiting.pop()?.();
    await Promise.all([storing, two]);
    await handler.checkpoint(PARTITION, false);
    expect(await granted()).toBe(7);
  });

  it('charges a new limit with calls whose usage is being stored at that moment', async () => {
    await use(await acquire('one', 5));
    store.slow = true;
    const storing = handler.checkpoint(PARTITION, false);
    await breath();
    const applied = apply(2, demoConfig([{ name: 'hour', max: 10, lengthMs: 3_600_000 }]));
    await breath();
    store.slow = false;
    store.waiting.pop()?.();
    await Promise.all([storing, applied]);
    const hour = handler.booksOf('demo')!.limits.find(({ limit }) => limit.name === 'hour')!;
    expect(hour.whole.standing(NOW).remaining).toBe(5);
  });

  it('goes on where storing fails while a new version is taken over', async () => {
    await use(await acquire('one', 5));
    store.slow = true;
    const storing = handler.checkpoint(PARTITION, false);
    await breath();
    const applied = apply(2, demoConfig([{ name: 'hour', max: 10, lengthMs: 3_600_000 }]));
    await breath();
    store.slow = false;
    store.failing = true;
    store.waiting.pop()?.();
    await Promise.allSettled([storing, applied]);
    store.failing = false;
    await handler.checkpoint(PARTITION, true);
    expect(await granted()).toBe(5);
    expect((await acquire('rest', 5)).answer).toBe('granted');
  });
});
