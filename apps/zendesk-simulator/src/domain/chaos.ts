import type { FaultOrder } from './faults.js';

/**
 * Every kind of fault, each befalling the share of the calls it can befall. Which calls these are follows from the
 * seed and the order of the calls.
 */
export function chaosOf(share: number): FaultOrder[] {
  const orders: FaultOrder[] = [
    { effect: { type: 'silence', when: 'before' } },
    { effect: { type: 'silence', when: 'after' } },
    { effect: { type: 'silence', when: 'after', effectInMs: 45_000 } },
    { effect: { type: 'reset', when: 'before' } },
    { effect: { type: 'reset', when: 'after', afterMs: 400 } },
    { effect: { type: 'status', status: 500, when: 'before' } },
    { effect: { type: 'status', status: 500, when: 'after' } },
    { effect: { type: 'status', status: 503, when: 'before', retryAfterSeconds: 5 } },
    { effect: { type: 'status', status: 503, when: 'after' } },
    { effect: { type: 'slow', when: 'before', delayMs: 4000 } },
    { effect: { type: 'slow', when: 'after', delayMs: 4000 } },
    { effect: { type: 'late', arriveInMs: 1500 } },
    { effect: { type: 'edge429' } },
    { effect: { type: 'headers', spelling: 'old' } },
    { effect: { type: 'headers', spelling: 'none' } },
    { effect: { type: 'headers', case: 'title' } },
    { effect: { type: 'clock', offsetMs: -2000 } },
    { effect: { type: 'job', outcome: 'stuck', forMs: 120_000 } },
    { effect: { type: 'job', outcome: 'killed' } },
    { effect: { type: 'job', outcome: 'items-fail', share: 0.2 } },
  ];
  return orders.map((order) => ({ ...order, probability: share, isChaos: true }));
}
