import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type Fate, SimulatedLedger } from '../test/simulated-ledger.js';
import { VirtualTime } from '../test/virtual-time.js';
import { QuotaClient } from './quota-client.js';

const MOST_TRAVEL_MS = 3_000;

/** A bad network: copies are lost, late, doubled, and so are answers. */
const fate: fc.Arbitrary<Fate> = fc.record({
  lost: fc.boolean(),
  travelsMs: fc.oneof(fc.constant(1), fc.integer({ min: 0, max: MOST_TRAVEL_MS })),
  againAfterMs: fc.option(fc.integer({ min: 0, max: 5_000 })),
  answerLost: fc.boolean(),
  answerTravelsMs: fc.oneof(fc.constant(1), fc.integer({ min: 0, max: MOST_TRAVEL_MS })),
  nobody: fc.constant(false),
});
const absent: fc.Arbitrary<Fate> = fate.map((one) => ({ ...one, nobody: true }));

interface Plan {
  readonly fates: readonly Fate[];
  readonly waitMs: number;
  readonly grantsAfterMs: number;
  readonly sendInMs: number;
  readonly validForMs: number;
  readonly calls: readonly { readonly beforeLeavingMs: number; readonly takesMs: number | null }[];
  readonly abortAtMs: number | null;
  readonly offsetMs: number;
}
const plan: fc.Arbitrary<Plan> = fc.record({
  fates: fc.array(fc.oneof({ weight: 4, arbitrary: fate }, { weight: 1, arbitrary: absent }), { maxLength: 12 }),
  waitMs: fc.constantFrom(0, 2_000, 20_000),
  grantsAfterMs: fc.constantFrom(0, 1_500, 15_000),
  sendInMs: fc.constantFrom(0, 0, 700),
  validForMs: fc.integer({ min: 0, max: 10_000 }),
  calls: fc.array(
    fc.record({ beforeLeavingMs: fc.integer({ min: 0, max: 4_000 }), takesMs: fc.option(fc.nat({ max: 3_000 })) }),
    { minLength: 1, maxLength: 4 },
  ),
  abortAtMs: fc.option(fc.integer({ min: 0, max: 25_000 })),
  offsetMs: fc.double({ min: 0, max: 1e6, noNaN: true }),
});

interface Left {
  readonly requestId: string;
  readonly leftMs: number;
  answeredMs: number | null;
}

/** Plays a plan; returns what truly happened, by the witness' clock. */
async function play(plan: Plan) {
  const time = new VirtualTime();
  const ledger = new SimulatedLedger(time);
  const clock = time.clock(plan.offsetMs);
  const fates = [...plan.fates];
  ledger.fates = () =>
    fates.shift() ?? {
      lost: false,
      travelsMs: 1,
      againAfterMs: null,
      answerLost: false,
      answerTravelsMs: 1,
      nobody: false,
    };
  Object.assign(ledger, { grantsAfterMs: plan.grantsAfterMs, sendInMs: plan.sendInMs, validForMs: plan.validForMs });
  let ids = 0;
  const newId = (): string => `id-${(ids += 1)}`;
  const client = new QuotaClient({ account: 'acme', integration: 'reporting', transport: ledger, clock, newId });
  const stop = new AbortController();
  if (plan.abortAtMs !== null) time.after(plan.abortAtMs, () => stop.abort(new Error('enough')));
  const left: Left[] = [];
  const wanted = {
    kind: 'other',
    calls: { min: 1, max: plan.calls.length },
    waitMs: plan.waitMs,
    signal: stop.signal,
  } as const;
  const ran = await time.run(
    client.withCalls(wanted, async (call) => {
      const { beforeLeavingMs, takesMs } = plan.calls[call.call]!;
      await clock.sleep(beforeLeavingMs);
      if (!call.leave()) return;
      const one: Left = { requestId: call.grantId.slice('g-'.length), leftMs: time.nowMs, answeredMs: null };
      left.push(one);
      await clock.sleep(takesMs ?? 1_000);
      if (takesMs === null) throw new Error('no answer');
      one.answeredMs = time.nowMs;
      call.answered();
      // What the caller does with the answer is no part of the call.
      await clock.sleep(2_000);
    }),
  );
  // What goes on in the background comes to its end.
  await time.pass(120_000);
  return { ran, left, ledger };
}

describe('a quota client on any network', () => {
  it('lets no call leave outside its time, and settles every grant it knows of by what truly happened', async () => {
    let made = 0;
    await fc.assert(
      fc.asyncProperty(plan, async (one) => {
        const { ran, left, ledger } = await play(one);
        made += left.length;
        for (const { requestId, leftMs } of left) {
          const grant = ledger.grants.get(requestId)!;
          expect(leftMs).toBeGreaterThanOrEqual(grant.notBeforeMs);
          expect(leftMs).toBeLessThanOrEqual(grant.validUntilMs);
        }
        for (const [requestId, grant] of ledger.grants) {
          const ofIt = left.filter((call) => call.requestId === requestId);
          expect(ofIt.length).toBeLessThanOrEqual(grant.calls);
          if (grant.used.length + grant.returned === 0) continue;
          expect([grant.used.length, grant.returned]).toEqual([ofIt.length, grant.calls - ofIt.length]);
          // Each told span holds the true one, but for the settle's own journey, which the ledger allows for.
          for (const { leftMs, answeredMs } of ofIt)
            expect(
              grant.used.some(
                ({ fromMs, toMs }) =>
                  fromMs - MOST_TRAVEL_MS <= leftMs &&
                  (answeredMs === null ? toMs === null : toMs !== null && answeredMs <= toMs),
              ),
            ).toBe(true);
        }
        if (ran.answer === 'ran' && ran.settled.answer === 'settled')
          expect(ledger.grants.get(ran.grantId.slice('g-'.length))!.used).toHaveLength(
            left.filter(({ requestId }) => `g-${requestId}` === ran.grantId).length,
          );
      }),
      { numRuns: 1_000 },
    );
    expect(made).toBeGreaterThan(100);
  });

  it('leaves nothing granted behind that it could have returned, once the network is well again', async () => {
    await fc.assert(
      fc.asyncProperty(plan, async (one) => {
        // Bad for its first few copies only, so that every settle and cancel finds its way within its tries; and what arrives
        // at all does so before it is given up: what comes after the word that cancels it, no ledger can know of.
        const fates = one.fates
          .slice(0, 3)
          .map((fate) => ({ ...fate, againAfterMs: null, travelsMs: Math.min(fate.travelsMs, 1_500) }));
        const { ledger } = await play({ ...one, fates, abortAtMs: one.abortAtMs ?? 500 });
        for (const grant of ledger.grants.values()) expect(grant.used.length + grant.returned).toBe(grant.calls);
      }),
      { numRuns: 500 },
    );
  });
});
