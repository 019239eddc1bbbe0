import type { FaultEffect, FaultMatch, FaultOrder } from './faults.js';
import { type JsonObject, objectOf, textOf } from './json.js';

/** Something asked of the control door that makes no sense; its message says what. */
export class Refused extends Error {}

const EFFECTS: readonly string[] = ['silence', 'reset', 'status', 'slow', 'late', 'edge429', 'headers', 'clock', 'job'];
const NEEDS_WHEN: readonly string[] = ['silence', 'reset', 'status', 'slow'];
const NEEDED_NUMBERS: Readonly<Record<string, string>> = {
  status: 'status',
  slow: 'delayMs',
  late: 'arriveInMs',
  clock: 'offsetMs',
};

/** Reads what is to go wrong. Throws `Refused` where that makes no sense. */
export function faultOrderOf(order: JsonObject): FaultOrder {
  const effect = objectOf(order['effect']);
  const type = textOf(effect?.['type']) ?? '';
  if (!effect || !EFFECTS.includes(type)) throw new Refused(`effect.type must be one of ${EFFECTS.join(', ')}`);
  if (NEEDS_WHEN.includes(type) && effect['when'] !== 'before' && effect['when'] !== 'after')
    throw new Refused('effect.when must be before or after');
  const needed = NEEDED_NUMBERS[type];
  if (needed !== undefined && typeof effect[needed] !== 'number')
    throw new Refused(`effect.${needed} must be a number`);
  if (type === 'job' && !['stuck', 'slow', 'killed', 'failed', 'items-fail'].includes(textOf(effect['outcome']) ?? ''))
    throw new Refused('effect.outcome must be stuck, slow, killed, failed or items-fail');
  const number = (name: string): number | undefined => {
    const value = order[name];
    if (value !== undefined && (typeof value !== 'number' || value < 0)) throw new Refused(`${name} must be a number`);
    return value;
  };
  const numbers = {
    probability: number('probability'),
    skip: number('skip'),
    count: number('count'),
    forMs: number('forMs'),
  };
  const given = Object.fromEntries(Object.entries(numbers).filter(([, value]) => value !== undefined));
  return { match: (objectOf(order['match']) ?? {}) as FaultMatch, effect: effect as unknown as FaultEffect, ...given };
}
