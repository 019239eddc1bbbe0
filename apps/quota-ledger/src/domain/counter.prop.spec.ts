import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { PRIORITIES, type Priority } from '#contracts';
import { type Limit, limitsOf } from '#limits';
import { type Counter, counterFor, type CounterState } from './counter.js';
import { demoConfig } from './demo-books.fixture.spec.js';
import type { Span } from './grant.js';
import { runs } from './property-runs.fixture.spec.js';

/*
 * A counter made from another's state, through JSON, must answer like it for ever; and one made for windows of another
 * shape may leave less room than the old one, never more than is left of any span.
 */

const LIMIT: Limit = { ...limitsOf(demoConfig()).limits[0]!, max: 40 };
const NAMES = ['a', 'b', 'c'];

interface Charge {
  readonly calls: number;
  readonly span: Span;
  readonly integration: string;
  readonly priority: Priority;
}

type Step =
  | {
      readonly do: 'charge';
      readonly calls: number;
      readonly length: number;
      readonly who: number;
      readonly as: number;
    }
  | { readonly do: 'narrow'; readonly of: number; readonly from: number; readonly into: boolean }
  | { readonly do: 'close'; readonly of: number }
  | { readonly do: 'foreign'; readonly calls: number }
  | { readonly do: 'closedByCrm' }
  | { readonly do: 'forget' }
  | { readonly do: 'wait'; readonly ms: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('charge' as const),
      calls: fc.integer({ min: 1, max: 5 }),
      length: fc.nat(15_000),
      who: fc.nat(2),
      as: fc.nat(2),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('narrow' as const),
      of: fc.nat(),
      from: fc.double({ min: 0, max: 1, noNaN: true }),
      into: fc.boolean(),
    }),
  },
  fc.record({ do: fc.constant('close' as const), of: fc.nat() }),
  fc.record({ do: fc.constant('foreign' as const), calls: fc.nat(3) }),
  fc.record({ do: fc.constant('closedByCrm' as const) }),
  fc.record({ do: fc.constant('forget' as const) }),
  { weight: 3, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat(30_000) }) },
);

/** The same steps done to several counters. */
class Run {
  nowMs = Date.UTC(2026, 0, 5, 10, 0, 0);
  readonly open: Charge[] = [];

  constructor(readonly counters: Counter[]) {}

  each(work: (counter: Counter) => void): void {
    for (const counter of this.counters) work(counter);
  }

  do(next: Step): void {
    switch (next.do) {
      case 'wait':
        this.nowMs += next.ms;
        return;
      case 'charge': {
        const { calls, length } = next;
        const span = { from: this.nowMs, to: this.nowMs + length };
        const charge = { calls, span, integration: NAMES[next.who]!, priority: PRIORITIES[next.as]! };
        this.open.push(charge);
        return this.each((counter) => counter.charge(calls, span, true, charge.integration, charge.priority));
      }
      case 'narrow': {
        const charge = this.take(next.of);
        if (!charge) return;
        const { from, to } = charge.span;
        const at = Math.floor(from + (to - from) * next.from);
        const into = next.into ? { from: at, to: at } : null;
        return this.each((counter) =>
          counter.narrow(charge.calls, charge.span, into, charge.integration, charge.priority),
        );
      }
      case 'close': {
        const charge = this.take(next.of);
        if (charge) this.each((counter) => counter.close(charge.calls, charge.span));
        return;
      }
      case 'foreign':
        return this.each((counter) => counter.addForeign(next.calls, this.nowMs));
      case 'closedByCrm':
        return this.each((counter) => {
          counter.closedUntil = this.nowMs + 7_000;
        });
      case 'forget':
        // What is forgotten is over, so nobody settles it either.
        this.open.splice(0, this.open.length, ...this.open.filter(({ span }) => span.to > this.nowMs - 30_000));
        return this.each((counter) => void counter.forget(this.nowMs));
      default:
        throw new Error(String(next satisfies never));
    }
  }

  private take(index: number): Charge | undefined {
    return this.open.splice(index % Math.max(1, this.open.length), 1)[0];
  }
}

/** Everything that can be asked of a counter, now and later. */
function told(counter: Counter, nowMs: number): unknown {
  return [0, 5_000, 30_000, 58_000, 60_000, 61_500, 119_000].map((later) => {
    const at = nowMs + later;
    const rooms = [1, 5, 40].map((needed) => counter.room({ from: at, to: at + 13_000 }, needed));
    const charged = NAMES.map((name) => counter.chargedTo(name, at));
    return [rooms, charged, counter.standing(at), counter.windowStartAt(at), counter.closedUntil];
  });
}

const LIMITS: fc.Arbitrary<Limit> = fc.constantFrom(
  LIMIT,
  { ...LIMIT, kind: 'rolling', lengthMs: 20_000 },
  { ...LIMIT, lengthMs: 60_000 / 7, edgeMs: 215 },
  { ...LIMIT, lengthMs: 86_400_000, anchor: 'Europe/Berlin' },
);
const steps = fc.array(step, { minLength: 5, maxLength: 60, size: 'max' });
const maxSince = (): number => 40;

describe('a counter', () => {
  it('made from the state of another behaves like it ever after', () => {
    const property = fc.property(LIMITS, steps, steps, (limit, before, after) => {
      const run = new Run([counterFor(limit, maxSince)]);
      for (const next of before) run.do(next);
      const state = JSON.parse(JSON.stringify(run.counters[0]!.state())) as CounterState;
      run.counters.push(counterFor(limit, maxSince, state));
      expect(run.counters[1]!.state()).toEqual(run.counters[0]!.state());
      for (const next of [{ do: 'wait', ms: 0 } as const, ...after]) {
        run.do(next);
        const [one, other] = run.counters.map((counter) => told(counter, run.nowMs));
        expect(other).toEqual(one);
      }
    });
    fc.assert(property, { numRuns: runs(40) });
  });

  it('made for windows of another shape never counts less than arrived', () => {
    const property = fc.property(LIMITS, LIMITS, steps, steps, (limit, changed, before, after) => {
      const run = new Run([counterFor(limit, maxSince)]);
      for (const next of before) if (next.do !== 'forget') run.do(next);
      const state = run.counters[0]!.state();
      const remade = counterFor(changed, maxSince, state);
      const kept = [...run.open];
      run.counters.splice(0, 1, remade);
      for (const next of after) if (next.do === 'narrow' || next.do === 'close') run.do(next);
      // Whoever is still open is charged at every instant at which it may arrive.
      const open = kept.filter((charge) => run.open.includes(charge));
      for (const { span } of open)
        for (const at of [span.from, span.to]) {
          const due = open.filter((other) => other.span.from <= at && other.span.to >= at);
          const calls = due.reduce((sum, other) => sum + other.calls, 0);
          expect(remade.standing(at).remaining).toBeLessThanOrEqual(Math.max(0, 40 - calls));
        }
    });
    fc.assert(property, { numRuns: runs(40) });
  });
});
