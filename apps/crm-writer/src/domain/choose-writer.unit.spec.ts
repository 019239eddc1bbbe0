import { describe, expect, it } from '@jest/globals';
import { chooseWriter, isReadyToGo, MUCH_WAITING } from './choose-writer.js';
import type { PlannedItem } from './plan-calls.js';

const minute = (remaining: number, resetsInMs = 30_000) => ({ limit: 'minute', max: 100, remaining, resetsInMs });
const choose = (waiting: number, more: Partial<Parameters<typeof chooseWriter>[0]> = {}) =>
  chooseWriter({ batching: 'auto', waiting, waitingLive: 0, standings: [minute(100)], timeScale: 1, ...more });

describe('choosing the writer', () => {
  it('follows the account where it says so', () => {
    expect(choose(1_000, { batching: 'off' })).toBe('single');
    expect(choose(1, { batching: 'always' })).toBe('batch');
  });

  it('writes singly while that leaves half of the window', () => {
    expect(choose(50)).toBe('single');
    expect(choose(51)).toBe('batch');
  });

  it('writes in bulk where much is waiting, however much budget there is', () => {
    expect(choose(MUCH_WAITING + 1, { standings: [minute(100_000)] })).toBe('batch');
  });

  it('never makes a job of so few that it costs as much', () => {
    expect(choose(2, { standings: [minute(0)] })).toBe('single');
  });

  it('counts of a long window only what falls to the next minute', () => {
    const day = { limit: 'day', max: 2_500, remaining: 2_500, resetsInMs: 86_400_000 };
    expect(choose(3, { standings: [minute(100), day] })).toBe('batch');
    expect(choose(3, { standings: [minute(100), { ...day, resetsInMs: 8_640_000 }], timeScale: 10 })).toBe('batch');
  });

  it('spends the last calls on customers who are on the line', () => {
    expect(choose(10, { standings: [minute(12)], waitingLive: 10 })).toBe('single');
    expect(choose(10, { standings: [minute(12)], waitingLive: 9 })).toBe('batch');
    expect(choose(10, { standings: [minute(9)], waitingLive: 10 })).toBe('batch');
  });

  it('leaves holds aside, and starts singly before anything is known', () => {
    expect(choose(20, { standings: [{ limit: 'inflight-jobs', max: 30, remaining: 0, resetsInMs: null }] })).toBe(
      'single',
    );
    expect(choose(20, { standings: [] })).toBe('single');
  });
});

describe('a bulk job that could still grow', () => {
  const job = (items: number, priority: 'live' | 'normal' = 'normal') =>
    ({ kind: 'tickets.create_many', priority, items: Array(items).fill({}) as PlannedItem[] }) as const;

  it('waits for the contacts being looked up', () => {
    expect(isReadyToGo(job(3), 2)).toBe(false);
    expect(isReadyToGo(job(3), 0)).toBe(true);
  });

  it('goes when a customer is on the line, or it has grown enough', () => {
    expect(isReadyToGo(job(3, 'live'), 2)).toBe(true);
    expect(isReadyToGo(job(25), 2)).toBe(true);
  });

  it('of updates needs no contacts', () => {
    expect(isReadyToGo({ ...job(3), kind: 'tickets.update_many' }, 2)).toBe(true);
  });
});
