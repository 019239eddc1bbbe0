import { beforeEach, describe, expect, it } from '@jest/globals';
import { systemClock } from '#clock';
import type { PublishedAccount } from '#contracts';
import { silentLog } from '#telemetry';
import { ApplyAccountsHandler } from './apply-accounts.handler.js';
import { partitionOf } from './domain/partition.js';
import { QuotaHandler } from './quota.handler.js';
import { SimulatedLedgerStore, SimulatedTables } from './simulated.ledger-store.js';
import { UsageHandler } from './usage.handler.js';

const PARTITION = partitionOf('demo');
const CCAI = { account: 'demo', integration: 'ccai' };
const NO_MORE_FAILURES = () => Promise.resolve();

function fileWith(max: number): string {
  return `
accounts:
  demo:
    crm: { type: zendesk, baseUrl: 'http://127.0.0.1:1', licence: team, credential: { kind: oauth, tokenRef: 'env:T' } }
    limits: { minute: { max: ${max} } }
    integrations: { ccai: {} }
    quota: { liveReserve: 0% }
`;
}

describe('applying accounts', () => {
  let handler: QuotaHandler;
  let accounts: ApplyAccountsHandler;
  let store: SimulatedLedgerStore;
  let announced: PublishedAccount[];
  let nowMs: number;
  let beforeLoad: () => Promise<void>;
  let beforeCommit: () => void;

  const acquire = (requestId: string, calls: number) => {
    const body = { requestId, kind: 'other' as const, calls: { min: 1, max: calls }, priority: 'normal' as const };
    return handler.ask(CCAI, { verb: 'acquire', body: { ...body, waitMs: 0 } });
  };
  const apply = (max: number) => accounts.apply({ yaml: fileWith(max), force: false }, 'operator');
  const failCommitOnce = (): void => {
    beforeCommit = () => {
      beforeCommit = () => undefined;
      throw new Error('the connection was lost');
    };
  };
  const failLoads = (times: number): void => {
    let left = times;
    beforeLoad = () => ((left -= 1) >= 0 ? Promise.reject(new Error('the connection was lost')) : Promise.resolve());
  };

  beforeEach(async () => {
    beforeLoad = NO_MORE_FAILURES;
    beforeCommit = () => undefined;
    nowMs = 1_770_000_020_000;
    const tables = new SimulatedTables();
    class Failing extends SimulatedLedgerStore {
      override async load(...which: Parameters<SimulatedLedgerStore['load']>) {
        await beforeLoad();
        return super.load(...which);
      }

      /** As stored: a copy made outside Jest's realm equals nothing made inside. */
      override async versions() {
        return tables.versions;
      }
    }
    store = new Failing(tables, { nowMs: () => nowMs, beforeCommit: () => beforeCommit() });
    announced = [];
    handler = new QuotaHandler({ ...systemClock, monotonicMs: () => nowMs }, silentLog);
    const keeper = {
      current: () => store,
      readVersions: async () => {
        await handler.useVersions(tables.versions);
        return true;
      },
    };
    accounts = new ApplyAccountsHandler(
      () => keeper,
      handler,
      { announce: (told) => announced.push(...told) },
      silentLog,
    );
    handler.begin(store, nowMs, nowMs);
    await keeper.readVersions();
    await handler.adopt(PARTITION, (await store.take(PARTITION))!);
    await apply(10);
  });

  it('has a lowered limit in force and announced, even if the books had to be read twice', async () => {
    failCommitOnce();
    await expect(apply(2)).rejects.toThrow('the connection was lost');
    expect(announced.at(-1)).toMatchObject({ version: 2 });
    expect(await acquire('one', 10)).toMatchObject({ answer: 'granted', calls: 2 });
  });

  it('gives the ownership up rather than go on with books of before', async () => {
    failCommitOnce();
    failLoads(1);
    await expect(apply(2)).rejects.toThrow('the connection was lost');
    expect(await acquire('one', 10)).toMatchObject({ answer: 'unavailable' });
    expect(store.ended.aborted).toBe(true);
  });

  it('announces what a repeated file had changed before, as its answer may have been lost', async () => {
    announced = [];
    expect(await apply(10)).toMatchObject({ accounts: [{ account: 'demo', did: 'unchanged', version: 1 }] });
    expect(announced).toMatchObject([{ version: 1, config: { name: 'demo' } }]);
  });

  it('has a raised limit in force from the next window only, even if the clock was set back', async () => {
    nowMs += 60_000;
    await acquire('one', 10);
    handler.noteClock(nowMs - 120_000, nowMs);
    await apply(30);
    expect(await acquire('two', 30)).toMatchObject({ answer: 'refused', limit: 'minute' });
  });

  it('calls an account unknown only where the books say so', async () => {
    const usage = (account: string) =>
      new UsageHandler(handler).usage(account, { per: 'day', integration: null, from: null, to: null });
    let rebuilt = (): void => undefined;
    beforeLoad = () => new Promise((resolve) => (rebuilt = resolve));
    const rebuilding = handler.between(() => handler.rebuildAll());
    await new Promise((resolve) => setImmediate(resolve));
    expect(await usage('demo')).toMatchObject({ answer: 'unavailable' });
    rebuilt();
    await rebuilding;
    expect(await usage('demo')).toMatchObject({ answer: 'usage' });
    expect(await usage('other')).toMatchObject({ answer: 'rejected', code: 'unknown_account' });
  });
});
