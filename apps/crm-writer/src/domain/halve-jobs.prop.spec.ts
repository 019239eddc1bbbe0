import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { effectOfSubmission, effectOfVerdict } from './effect.js';
import type { Verdict } from './judge-response.js';
import { planCalls, type PlannedCall } from './plan-calls.js';
import type { WaitingInteraction } from './write.js';

const NOBODY = { phone: null, userId: null, email: null, name: null };
const input = { commands: 1, own: true, timeScale: 1, random: 0, underWayForMs: 0 };
const INVALID: Verdict = { verdict: 'park', code: 'crm_invalid', text: 'RecordInvalid' };

interface Waits {
  readonly name: string;
  readonly attempts: number;
  readonly mostInJob?: number;
}

function waiting({ name, attempts, mostInJob }: Waits, since: number): WaitingInteraction {
  const action = { kind: 'addComment', body: 'text', public: false } as const;
  return {
    interactionId: name,
    ticketId: null,
    followUpOf: null,
    priority: 'normal',
    since,
    solo: false,
    ...(mostInJob === undefined ? {} : { mostInJob }),
    ensure: { subject: 's', mode: 'new', contact: NOBODY },
    queuePath: null,
    appendTo: null,
    commands: [{ commandId: name, action, eventAt: 1, eventRank: 0, ordinal: 0, priority: 'normal', attempts }],
  };
}

/** A CRM that refuses every call that carries one of these, wholly; how the interactions end, and how many calls that took. */
function play(count: number, poison: ReadonlySet<number>): { done: string[]; parked: string[]; calls: number } {
  let left: Waits[] = Array.from({ length: count }, (_, i) => ({ name: `i${i}`, attempts: 0 }));
  const done: string[] = [];
  const parked: string[] = [];
  let calls = 0;
  const isPoison = (name: string): boolean => poison.has(Number(name.slice(1)));
  const make = ({ items, writer }: PlannedCall): void => {
    calls += 1;
    const refused = items.some(({ interactionId }) => isPoison(interactionId));
    for (const { interactionId: name, attempts } of items) {
      left = left.filter((one) => one.name !== name);
      if (!refused) {
        done.push(name);
        continue;
      }
      const effect =
        writer === 'batch'
          ? effectOfSubmission(INVALID, { ...input, attempts, items: items.length })
          : effectOfVerdict(INVALID, null, { ...input, attempts });
      if (effect.effect === 'parked') parked.push(name);
      else if (effect.effect === 'waiting')
        left.push({ name, attempts: effect.attempts, ...(effect.mostInJob ? { mostInJob: effect.mostInJob } : {}) });
    }
  };
  while (left.length > 0 && calls < 10_000) {
    const { calls: planned } = planCalls(left.map(waiting), {
      creates: 'batch',
      updates: 'batch',
      fewestPerJob: 1,
      externalIdPrefix: '',
      contactOf: () => ({ standing: 'anonymous' }),
      taken: new Set(),
    });
    for (const call of planned) make(call);
  }
  return { done, parked, calls };
}

describe('jobs that hold what the CRM refuses', () => {
  it('come down to exactly the guilty ones, in few calls', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100 }), fc.uniqueArray(fc.nat(99), { maxLength: 4 }), (count, chosen) => {
        const poison = new Set(chosen.filter((one) => one < count));
        const { done, parked, calls } = play(count, poison);
        expect(parked.toSorted()).toEqual([...poison].map((one) => `i${one}`).toSorted());
        expect(new Set(done).size).toBe(count - poison.size);
        expect(done).toHaveLength(count - poison.size);
        // Each guilty one makes its own way down: at each step its half, and what is left over beside it.
        expect(calls).toBeLessThanOrEqual(1 + poison.size * 3 * (Math.ceil(Math.log2(count)) + 1));
      }),
    );
  });
});
