import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type Clock, systemClock } from '#clock';
import { silentLog } from '#telemetry';
import { demoConfig, MINUTE_START } from './domain/demo-books.fixture.spec.js';
import { partitionOf } from './domain/partition.js';
import { type Counts, type JournalFault, Recount } from './domain/recount.js';
import { QuotaHandler } from './quota.handler.js';
import { partitionIn, SimulatedLedgerStore, SimulatedTables } from './simulated.ledger-store.js';

const PARTITION = partitionOf('demo');
const INTEGRATIONS = ['ccai', 'reporting'];
const FIELDS = ['granted', 'used', 'returned', 'expired', 'open', 'crmRefused', 'wouldRefuse'] as const;

type Step =
  | { readonly do: 'acquire'; readonly of: number; readonly calls: number }
  | {
      readonly do: 'settle';
      readonly grant: number;
      readonly used: number;
      readonly returned: number;
      readonly answered: boolean;
    }
  | {
      readonly do: 'observe';
      readonly of: number;
      readonly remaining: number;
      readonly status: number;
      readonly agoMs: number;
    }
  | { readonly do: 'pass'; readonly ms: number }
  | { readonly do: 'checkpoint' | 'rebuild' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('acquire' as const), of: fc.nat(1), calls: fc.integer({ min: 1, max: 6 }) }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('settle' as const),
      grant: fc.nat(5),
      used: fc.nat(3),
      returned: fc.nat(2),
      answered: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('observe' as const),
      of: fc.nat(1),
      remaining: fc.nat(100),
      status: fc.constantFrom(200, 429),
      agoMs: fc.nat(3_000),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(0, 7, 900, 9_000, 40_000) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('checkpoint' as const, 'rebuild' as const) }) },
);

/** Lets a real ledger live through it, in virtual time; what it counted and what it told. */
async function lived(steps: readonly Step[], timeScale: number): Promise<SimulatedTables> {
  let nowMs = MINUTE_START + 50_000;
  let monotonicMs = 0;
  const clock: Clock = { ...systemClock, monotonicMs: () => monotonicMs };
  const tables = new SimulatedTables();
  const store = new SimulatedLedgerStore(tables, { nowMs: () => nowMs });
  const base = demoConfig([{ max: 100 }]);
  await store.addVersions([{ version: 1, origin: 'file', config: { ...base, crm: { ...base.crm, timeScale } } }], 0);
  const handler = new QuotaHandler(clock, silentLog);
  const grants: { id: string; integration: string }[] = [];
  const pass = (ms: number): void => {
    nowMs += ms;
    monotonicMs += ms;
    handler.noteClock(nowMs, monotonicMs);
  };
  handler.begin(store, nowMs, monotonicMs);
  await handler.useVersions(await store.versions(0));
  await handler.adopt(PARTITION, (await store.take(PARTITION))!);
  for (const [index, one] of steps.entries()) await act(one, index);
  await handler.checkpoint(PARTITION, true);
  await handler.end();
  return tables;

  async function act(one: Step, index: number): Promise<void> {
    const requestId = `r${index}`;
    if (one.do === 'pass') {
      pass(one.ms);
      handler.expireDue();
      await handler.between(async () => undefined);
    } else if (one.do === 'acquire') {
      const integration = INTEGRATIONS[one.of]!;
      const calls = { min: 1, max: one.calls };
      const body = { requestId, kind: 'other' as const, calls, priority: 'normal' as const, waitMs: 0 };
      const answer = await handler.ask({ account: 'demo', integration }, { verb: 'acquire', body });
      if (answer.answer === 'granted') grants.push({ id: answer.grantId, integration });
    } else if (one.do === 'settle') {
      const grant = grants.at(-1 - one.grant);
      if (!grant) return;
      const used = Array.from({ length: one.used }, () => ({ sentAgoMs: 5, answeredAgoMs: one.answered ? 1 : null }));
      const body = { requestId, grantId: grant.id, used, returned: one.returned };
      await handler.ask({ account: 'demo', integration: grant.integration }, { verb: 'settle', body });
    } else if (one.do === 'observe') {
      const headers = { 'x-rate-limit': '100', 'x-rate-limit-remaining': String(one.remaining) };
      const body = { grantId: null, kind: 'other' as const, status: one.status, answeredAgoMs: one.agoMs, headers };
      await handler.ask({ account: 'demo', integration: INTEGRATIONS[one.of]! }, { verb: 'observe', body });
    } else if (one.do === 'checkpoint') await handler.checkpoint(PARTITION, false);
    else await handler.between(() => handler.rebuildAll());
  }
}

function recounted(
  tables: SimulatedTables,
  timeScale: number,
): { counts: Map<string, Counts>; faults: JournalFault[] } {
  const counts = new Map<string, Counts>();
  const faults: JournalFault[] = [];
  const recount = new Recount({
    partition: PARTITION,
    isOurs: (account) => account === 'demo',
    minuteMsOf: () => 60_000 / timeScale,
    fault: (fault) => faults.push(fault),
    count: (account, integration, minute, change) => {
      const key = `${account} ${integration} ${minute}`;
      const sum = counts.get(key) ?? [0, 0, 0, 0, 0, 0, 0];
      counts.set(key, sum.map((count, index) => count + change[index]!) as Counts);
    },
  });
  for (const turn of partitionIn(tables, 'demo').journal)
    recount.tell({ ...turn, partition: PARTITION, epoch: 1 }, true);
  return { counts, faults };
}

const sorted = (counts: Iterable<[string, readonly number[]]>): [string, readonly number[]][] =>
  [...counts].filter(([, row]) => row.some((count) => count !== 0)).toSorted(([a], [b]) => (a < b ? -1 : 1));

describe('a recount of the journal', () => {
  it('comes to what the ledger counted as it decided, whatever happened', async () => {
    const seen = new Set<string>();
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 20, maxLength: 60 }),
        fc.constantFrom(1, 20),
        async (steps, timeScale) => {
          const tables = await lived(steps, timeScale);
          const { counts, faults } = recounted(tables, timeScale);
          const stored = [...tables.usage.minute].map(
            ([key, row]) => [key, FIELDS.map((field) => row[field])] as [string, number[]],
          );
          for (const [, row] of stored)
            for (const [index, count] of row.entries()) if (count > 0) seen.add(FIELDS[index]!);
          for (const [key] of stored) if (key.includes('(foreign)')) seen.add('foreign');
          expect(faults).toEqual([]);
          expect(sorted(counts)).toEqual(sorted(stored));
        },
      ),
      { numRuns: 60 },
    );
    expect([...seen].toSorted()).toEqual(['crmRefused', 'expired', 'foreign', 'granted', 'open', 'returned', 'used']);
  });
});
