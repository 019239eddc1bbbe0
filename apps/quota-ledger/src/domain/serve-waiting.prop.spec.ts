import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  type AccountConfig,
  type AcquireRequest,
  type Granted,
  type LimitConfig,
  type Portion,
  type Priority,
  PRIORITIES,
  type QuotaPolicy,
} from '#contracts';
import { acquire } from './acquire.js';
import { type AccountBooks, openBooks } from './books.js';
import { demoConfig, MINUTE_START } from './demo-books.fixture.spec.js';
import { expire } from './expire.js';
import type { Grant } from './grant.js';
import { LedgerChanges } from './ledger-changes.js';
import { nextWakeAt, serveWaiting } from './serve-waiting.js';
import { settle } from './settle.js';
import { runs } from './property-runs.fixture.spec.js';

/*
 * Integrations that want calls, in virtual time, beside a naive model that knows only the list of all grants and works
 * everything out from it. Calls arrive as soon as they may; answers are settled at once, or seconds later.
 */

const MINUTE_MS = 60_000;
const MINUTE_MAX = 120;
const NAMES = ['a', 'b', 'c', 'd'] as const;
/** Grants are charged to the next minute from here on, until they are settled. */
const STRADDLES_MS = 14_500;

interface ShareOf {
  readonly guarantee?: number;
  readonly cap?: number;
  readonly weight?: number;
}

interface Setup {
  readonly shares?: Readonly<Record<string, ShareOf>>;
  readonly quota?: Partial<QuotaPolicy>;
  readonly limits?: readonly Partial<LimitConfig>[];
  readonly settleAfterMs?: number;
}

function configOf({ shares = {}, quota, limits = [] }: Setup): AccountConfig {
  const base = demoConfig([{ name: 'minute', max: MINUTE_MAX }, ...limits]);
  const portion = (percent: number): Portion => ({ percent, calls: {} });
  const integrations = NAMES.map((name) => {
    const { guarantee = 0, cap, weight = 1 } = shares[name] ?? {};
    const share = { guarantee: portion(guarantee), cap: cap === undefined ? null : portion(cap), weight };
    return [name, { ...base.integrations['ccai']!, share }] as const;
  });
  return {
    ...base,
    integrations: Object.fromEntries(integrations),
    quota: { ...base.quota, foreignPerMinute: 0, ...quota },
  };
}

interface Waited {
  readonly integration: string;
  readonly request: AcquireRequest;
  readonly since: number;
}

/** One call that arrived: by whom, as what, granted and arrived when. */
interface Arrival {
  readonly integration: string;
  readonly priority: Priority;
  readonly at: number;
}

class World {
  nowMs = MINUTE_START;
  readonly books: AccountBooks;
  readonly arrivals: Arrival[] = [];
  readonly waiting = new Map<string, Waited>();
  /** From when it was asked to when its calls may leave. */
  readonly waits: { readonly integration: string; readonly ms: number }[] = [];
  /** Called when a wait is over. */
  onAnswer: (integration: string, calls: number) => void = () => undefined;
  private readonly settling: { readonly at: number; readonly grant: Grant; readonly sentAt: number }[] = [];
  private readonly settleAfterMs: number;
  private ids = 0;

  constructor(setup: Setup) {
    this.books = openBooks([{ version: 1, appliedAt: 0, config: configOf(setup) }]);
    this.settleAfterMs = setup.settleAfterMs ?? 0;
  }

  ask(integration: string, wanted: Partial<AcquireRequest> = {}): number | 'waits' {
    this.ids += 1;
    const request: AcquireRequest = {
      requestId: `r${this.ids}`,
      kind: 'other',
      calls: { min: 1, max: 1 },
      priority: 'normal',
      waitMs: 0,
      ...wanted,
    };
    const moment = { nowMs: this.nowMs, newId: () => `g${(this.ids += 1)}`, known: null };
    const answer = acquire(this.books, integration, request, moment, new LedgerChanges());
    this.serve();
    if (answer === 'waits') {
      const again = acquire(this.books, integration, request, moment, new LedgerChanges());
      if (this.books.waiting.byRequest.has(`${integration} ${request.requestId}`)) expect(again).toBe('waits');
      if (!this.answeredNow.has(request.requestId))
        this.waiting.set(request.requestId, { integration, request, since: this.nowMs });
      return 'waits';
    }
    if (answer.answer === 'rejected') throw new Error(answer.message);
    if (answer.answer !== 'granted') return 0;
    this.waits.push({ integration, ms: answer.sendInMs });
    this.use(integration, request, answer);
    return answer.calls;
  }

  private readonly answeredNow = new Set<string>();

  serve(): void {
    const moment = { nowMs: this.nowMs, newId: () => `g${(this.ids += 1)}` };
    for (const { integration, requestId, answer } of serveWaiting(this.books, moment, new LedgerChanges())) {
      const waited = this.waiting.get(requestId);
      this.waiting.delete(requestId);
      this.answeredNow.add(requestId);
      const sendInMs = answer.answer === 'granted' ? answer.sendInMs : 0;
      if (waited) this.waits.push({ integration, ms: this.nowMs - waited.since + sendInMs });
      const grant = answer.answer === 'granted' ? this.books.open.get(answer.grantId) : null;
      if (grant && answer.answer === 'granted') this.used(grant, answer);
      this.onAnswer(integration, answer.answer === 'granted' ? answer.calls : 0);
    }
  }

  /** Lets time pass: settles, and whatever the ledger says it wakes for. */
  wait(ms: number): void {
    const until = this.nowMs + ms;
    for (;;) {
      this.settling.sort((x, y) => x.at - y.at);
      const settleAt = this.settling[0]?.at ?? Number.MAX_SAFE_INTEGER;
      const wakeAt = nextWakeAt(this.books, this.nowMs) ?? Number.MAX_SAFE_INTEGER;
      const next = Math.ceil(Math.max(this.nowMs, Math.min(settleAt, wakeAt)));
      if (next > until) break;
      if (next === this.nowMs && wakeAt <= this.nowMs && settleAt > this.nowMs) {
        this.serve();
        const again = nextWakeAt(this.books, this.nowMs);
        if (again !== null && again <= this.nowMs) throw new Error('it wakes for nothing');
        continue;
      }
      this.nowMs = next;
      while (this.settling[0] && this.settling[0].at <= this.nowMs) this.settleFirst();
      this.serve();
    }
    this.nowMs = until;
    expire(this.books, this.nowMs, new LedgerChanges());
  }

  arrived(from: number, to: number, which: (arrival: Arrival) => boolean = () => true): number {
    return this.arrivals.filter((arrival) => arrival.at >= from && arrival.at < to && which(arrival)).length;
  }

  private use(integration: string, request: AcquireRequest, answer: Granted): void {
    const grant = this.books.open.get(answer.grantId)!;
    expect(grant).toMatchObject({ integration, requestId: request.requestId });
    this.used(grant, answer);
  }

  private used(grant: Grant, answer: Granted): void {
    const sentAt = this.nowMs + answer.sendInMs;
    for (let call = 0; call < answer.calls; call++)
      this.arrivals.push({ integration: grant.integration, priority: grant.priority, at: sentAt });
    this.settling.push({ at: sentAt + this.settleAfterMs, grant, sentAt });
    if (sentAt + this.settleAfterMs <= this.nowMs) {
      this.settling.sort((x, y) => x.at - y.at);
      this.settleFirst();
    }
  }

  private settleFirst(): void {
    const { grant, sentAt } = this.settling.shift()!;
    const agoMs = Math.max(0, this.nowMs - sentAt);
    const used = grant.calls.map(() => ({ sentAgoMs: agoMs, answeredAgoMs: agoMs }));
    const request = { requestId: `s${grant.id}`, grantId: grant.id, used, returned: 0 };
    const moment = { nowMs: this.nowMs, heldMs: 0 };
    settle(this.books, grant.integration, grant, request, moment, new LedgerChanges());
  }
}

/** Of a minute's arrivals: how many in all, and of each integration. */
function expectBounds(world: World, caps: Readonly<Record<string, number>>, edgeMs = 0): void {
  const last = Math.max(MINUTE_START, ...world.arrivals.map(({ at }) => at));
  for (let start = MINUTE_START - MINUTE_MS + edgeMs; start <= last; start += MINUTE_MS) {
    const inWindow = world.arrivals.filter(({ at }) => at >= start && at < start + MINUTE_MS);
    expect(inWindow.length).toBeLessThanOrEqual(MINUTE_MAX);
    for (const [integration, cap] of Object.entries(caps))
      expect(inWindow.filter((arrival) => arrival.integration === integration).length).toBeLessThanOrEqual(cap);
  }
}

const share = fc.record({ guarantee: fc.nat(60), weight: fc.integer({ min: 1, max: 3 }) });
const priority = fc.constantFrom(...PRIORITIES);

describe('waiting requests', () => {
  it('are never granted more than the limit or their cap, whoever asks for what, and all get an answer', () => {
    const step = fc.record({
      who: fc.nat(NAMES.length - 1),
      min: fc.integer({ min: 1, max: 10 }),
      more: fc.nat(60),
      priority,
      waitMs: fc.constantFrom(0, 500, 20_000, 90_000),
      after: fc.oneof(fc.constant(0), fc.nat(2_000), fc.nat(25_000)),
    });
    const property = fc.property(
      fc.array(step, { minLength: 10, maxLength: 80, size: 'max' }),
      fc.array(fc.record({ guarantee: fc.nat(50), cap: fc.integer({ min: 10, max: 100 }) }), {
        minLength: NAMES.length,
        maxLength: NAMES.length,
      }),
      fc.constantFrom(0, 300, 5_000),
      fc.integer({ min: -1_499, max: 1_499 }),
      fc.nat(30),
      (steps, shares, settleAfterMs, edgeMs, liveReservePercent) => {
        const named = Object.fromEntries(NAMES.map((name, index) => [name, shares[index]!]));
        const world = new World({ shares: named, quota: { liveReservePercent }, settleAfterMs });
        for (const { who, min, more, after, ...rest } of steps) {
          world.ask(NAMES[who]!, { calls: { min, max: min + more }, ...rest });
          world.wait(after);
        }
        world.wait(100_000);
        expect(world.waiting.size).toBe(0);
        expect(world.books.waiting.byRequest.size).toBe(0);
        for (const { requests } of world.books.waiting.lines) expect(requests).toBe(0);
        const caps = NAMES.map((name) => [name, Math.floor((MINUTE_MAX * named[name]!.cap) / 100)] as const);
        expectBounds(world, Object.fromEntries(caps), edgeMs);
      },
    );
    fc.assert(property, { numRuns: runs(15) });
  });
});

describe('a guarantee', () => {
  it('is had at once by whoever wakes at any time, whatever greedy neighbours did before', () => {
    const property = fc.property(
      fc.array(share, { minLength: 3, maxLength: 3 }),
      fc.integer({ min: 0, max: 60 }),
      fc.integer({ min: 2_000, max: MINUTE_MS - STRADDLES_MS }),
      fc.nat(3_000),
      fc.array(fc.tuple(fc.nat(2), fc.integer({ min: 1, max: 30 }), priority, fc.nat(3_000)), {
        minLength: 10,
        maxLength: 60,
        size: 'max',
      }),
      fc.nat(20),
      (shares, early, wakesAt, settleAfterMs, greed, liveReservePercent) => {
        const named = Object.fromEntries(['b', 'c', 'd'].map((name, index) => [name, shares[index]!]));
        const own = 40;
        const world = new World({
          shares: { ...named, a: { guarantee: own } },
          quota: { liveReservePercent, spreadBacklog: false },
          settleAfterMs,
        });
        // Naively: whole calls of each, less in proportion where they are more than there is.
        const asked = [own, ...shares.map(({ guarantee }) => guarantee)].map((g) => Math.floor((MINUTE_MAX * g) / 100));
        const scale = Math.min(1, MINUTE_MAX / asked.reduce((sum, g) => sum + g, 0));
        const guarantee = Math.floor(asked[0]! * scale);
        const used = Math.min(early, guarantee);
        if (used > 0) expect(world.ask('a', { calls: { min: used, max: used } })).toBe(used);
        for (const [who, most, as, pause] of greed) {
          if (world.nowMs + pause >= MINUTE_START + wakesAt) break;
          world.ask(NAMES[who + 1]!, { calls: { min: 1, max: most }, priority: as, waitMs: 100_000 });
          world.ask(NAMES[who + 1]!, { calls: { min: 1, max: MINUTE_MAX }, priority: as });
          world.wait(pause);
        }
        world.wait(MINUTE_START + wakesAt - world.nowMs);
        const left = (MINUTE_MS - wakesAt) / MINUTE_MS;
        const worth = Math.ceil(Math.max(0, Math.min(guarantee * left, guarantee - used)) - 1e-9);
        if (worth > 0) expect(world.ask('a', { calls: { min: worth, max: worth } })).toBe(worth);
        expectBounds(world, {});
      },
    );
    fc.assert(property, { numRuns: runs(25) });
  });

  it('may be used evenly through the window, one call at a time, each had at once', () => {
    const world = new World({ shares: { a: { guarantee: 25 } } });
    const everyMs = MINUTE_MS / 30;
    for (let call = 0; call < 22; call++) {
      world.ask('b', { calls: { min: 1, max: MINUTE_MAX } });
      expect(world.ask('a')).toBe(1);
      world.wait(everyMs);
    }
  });
});

describe('the part for live', () => {
  it('is had at once by the first live calls at any time, whatever others took before', () => {
    const property = fc.property(
      fc.integer({ min: 1, max: 60 }),
      fc.integer({ min: 0, max: MINUTE_MS - STRADDLES_MS }),
      fc.nat(60),
      (liveReservePercent, at, guarantee) => {
        const world = new World({ quota: { liveReservePercent }, shares: { c: { guarantee } } });
        for (let passed = 0; passed + 1_000 <= at; passed += 1_000) {
          world.ask('a', { calls: { min: 1, max: MINUTE_MAX }, waitMs: 30_000 });
          world.ask('b', { calls: { min: 1, max: MINUTE_MAX }, priority: 'backlog' });
          world.wait(1_000);
        }
        world.wait(MINUTE_START + at - world.nowMs);
        const guaranteed = Math.floor((MINUTE_MAX * guarantee) / 100);
        const reserve = Math.min((MINUTE_MAX * liveReservePercent) / 100, MINUTE_MAX - guaranteed);
        const worth = Math.ceil(reserve * (1 - at / MINUTE_MS) - 1e-9);
        expect(world.ask('d', { calls: { min: worth, max: worth }, priority: 'live' })).toBe(worth);
      },
    );
    fc.assert(property, { numRuns: runs(15) });
  });
});

/** Each integration has requests for so many calls waiting at all times, and asks again as soon as it has fewer. */
function drain(world: World, who: Readonly<Record<string, Partial<AcquireRequest>>>, calls: number, ms: number): void {
  const names = Object.keys(who);
  const wants = (name: string): boolean => {
    let waiting = 0;
    for (const { integration, request } of world.waiting.values())
      if (integration === name) waiting += request.calls.max;
    return waiting < calls;
  };
  for (let passed = 0; passed < ms; passed += 100) {
    // By turns, so that nobody asks more often than the others.
    for (let asked = 0; asked < 500 && names.some(wants); asked++)
      for (const name of names) if (wants(name)) world.ask(name, { waitMs: 200_000, ...who[name] });
    world.wait(100);
  }
}

describe('fairness', () => {
  it.each([
    ['equal weights', { a: 1, b: 1 }, 10],
    ['weights three to one', { a: 3, b: 1 }, 10],
    ['one that asks for everything, and one that asks for little', { a: 1, b: 1 }, 100],
  ])('shares calls in proportion: %s', (_, weights, most) => {
    const shares = { a: { weight: weights.a }, b: { weight: weights.b } };
    const world = new World({ shares, quota: { liveReservePercent: 0 }, settleAfterMs: 200 });
    // Both wait already when the window begins.
    world.ask('c', { calls: { min: MINUTE_MAX, max: MINUTE_MAX } });
    drain(world, { a: { calls: { min: 1, max: most } }, b: { calls: { min: 1, max: 2 } } }, 150, 4 * MINUTE_MS);
    const total = world.arrived(MINUTE_START + MINUTE_MS, world.nowMs);
    const a = world.arrived(MINUTE_START + MINUTE_MS, world.nowMs, ({ integration }) => integration === 'a');
    expect(total).toBeGreaterThanOrEqual(3 * MINUTE_MAX * 0.99);
    const fair = (total * weights.a) / (weights.a + weights.b);
    // One quantum: the largest grant of either.
    expect(Math.abs(a - fair)).toBeLessThanOrEqual(Math.max(most, 10));
  });

  it('earns nobody credit who was idle', () => {
    const world = new World({ quota: { liveReservePercent: 0 } });
    drain(world, { a: { calls: { min: 1, max: 5 } } }, 150, 3 * MINUTE_MS);
    // The minute that begins now was granted while nobody else asked.
    const since = world.nowMs + MINUTE_MS;
    drain(world, { a: { calls: { min: 1, max: 5 } }, b: { calls: { min: 1, max: 5 } } }, 150, 3 * MINUTE_MS);
    const [a, b] = ['a', 'b'].map((who) => world.arrived(since, world.nowMs, ({ integration }) => integration === who));
    expect(a! + b!).toBe(2 * MINUTE_MAX);
    expect(Math.abs(a! - b!)).toBeLessThanOrEqual(10);
  });

  it('keeps room for a large request that waits, so that small ones never starve it', () => {
    const world = new World({ quota: { liveReservePercent: 0 }, settleAfterMs: 100 });
    world.ask('c', { calls: { min: 100, max: 100 } });
    world.ask('a', { calls: { min: 60, max: 60 }, waitMs: 100_000 });
    for (let passed = 0; passed < MINUTE_MS + 5_000; passed += 100) {
      world.ask('b');
      world.wait(100);
    }
    expect(world.arrived(MINUTE_START, world.nowMs, ({ integration }) => integration === 'a')).toBe(60);
    expect(world.waits.find(({ integration }) => integration === 'a')!.ms).toBeLessThanOrEqual(MINUTE_MS + 2_000);
  });

  it('bounds what a neighbour of a drain waits', () => {
    const shares = { a: {}, b: { guarantee: 20 } };
    const world = new World({ shares, settleAfterMs: 500 });
    for (let second = 0; second < 300; second++) {
      drain(world, { a: { calls: { min: 1, max: 50 }, priority: 'backlog' } }, 250, 1_000);
      // A quarter of a call a second: less than is guaranteed.
      if (second % 4 === 0) world.ask('b', { waitMs: 100_000 });
    }
    world.wait(100_000);
    const waits = world.waits.filter(({ integration }) => integration === 'b').map(({ ms }) => ms);
    expect(waits).toHaveLength(75);
    waits.sort((x, y) => x - y);
    expect(waits[Math.ceil(75 * 0.85) - 1]).toBe(0);
    // Where windows meet: the tail of the one that is full, and the edge of the next.
    expect(waits[Math.ceil(75 * 0.95) - 1]).toBeLessThanOrEqual(4_500);
  });
});

describe('a window', () => {
  it.each([
    ['settled at once', 0, 'normal', {}],
    ['settled after seconds', 3_000, 'normal', {}],
    ['backlog, settled at once', 0, 'backlog', {}],
    ['backlog, settled after seconds', 3_000, 'backlog', {}],
    ['others idle with guarantees', 200, 'normal', { b: { guarantee: 30 }, c: { guarantee: 33 }, d: { guarantee: 7 } }],
    ['backlog beside idle guarantees', 200, 'backlog', { b: { guarantee: 30 }, c: { guarantee: 33 } }],
  ] as const)('is full at its end while anything waits: %s', (_, settleAfterMs, as, shares) => {
    const world = new World({ shares, settleAfterMs });
    drain(world, { a: { calls: { min: 1, max: 10 }, priority: as } }, 30, 5 * MINUTE_MS);
    for (let minute = 0; minute < 5; minute++) {
      const start = MINUTE_START + minute * MINUTE_MS;
      // The edge is charged to both sides, so a call in it counts for either.
      const calls = world.arrived(start - 1_500, start + MINUTE_MS + 1_500);
      expect(calls).toBeGreaterThanOrEqual(MINUTE_MAX * 0.99);
    }
    expect(world.arrived(MINUTE_START, MINUTE_START + 5 * MINUTE_MS)).toBeGreaterThanOrEqual(5 * MINUTE_MAX * 0.99);
  });

  it('spreads backlog, instead of burning it in its first seconds', () => {
    const world = new World({ quota: { liveReservePercent: 0 } });
    drain(world, { a: { calls: { min: 1, max: 100 }, priority: 'backlog' } }, 300, MINUTE_MS);
    const by = [0.1, 0.3, 0.5, 0.7].map((part) => world.arrived(MINUTE_START, MINUTE_START + MINUTE_MS * part));
    for (const [index, part] of [0.1, 0.3, 0.5, 0.7].entries())
      expect(Math.abs(by[index]! - MINUTE_MAX * (0.05 + (0.95 * part) / 0.9))).toBeLessThanOrEqual(4);
  });
});
