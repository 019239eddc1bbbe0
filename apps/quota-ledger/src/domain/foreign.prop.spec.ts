import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type AccountConfig, DEFAULT_SHARE } from '#contracts';
import { acquire } from './acquire.js';
import { type AccountBooks, forgetPast, type LimitBook, openBooks } from './books.js';
import { demoConfig, MINUTE_START } from './demo-books.fixture.spec.js';
import { expire } from './expire.js';
import { foreignAt } from './foreign.js';
import type { Grant } from './grant.js';
import { LedgerChanges } from './ledger-changes.js';
import { observe } from './observe.js';
import { settle } from './settle.js';
import { runs } from './property-runs.fixture.spec.js';

/*
 * A naive CRM that counts every call truly, ours and others', in minutes whose edges lie off by up to the stated edge, and
 * tells in each response how many are left. Settles and observations reach the ledger late, in any order, or never.
 */

const MINUTE_MS = 60_000;
const REQUEST_TIMEOUT_MS = 3_000;
const MAX = 30;
/** Never all used, so that there is a last call to tell how things stand. */
const PLENTY = 1_000;
/** A failing story is made smaller for no longer than this. */
const LIMITS = { numRuns: runs(100), interruptAfterTimeLimit: 60_000 };
/** `ccai` settles and observes; `billing` only settles. */
const INTEGRATIONS = ['ccai', 'billing'] as const;

function config(foreignPerMinute: number | 'auto', max = MAX): AccountConfig {
  const of = demoConfig([{ max }], { requestTimeoutMs: REQUEST_TIMEOUT_MS });
  const billing = { ingest: null, trusted: true, share: DEFAULT_SHARE, quotaPasswordRef: null };
  return {
    ...of,
    integrations: { ...of.integrations, billing },
    quota: { ...of.quota, foreignPerMinute, liveReservePercent: 0 },
  };
}

/** Calls asked for at once, and what becomes of each. */
interface Ask {
  readonly at: number;
  readonly integration: number;
  readonly fates: readonly Fate[];
}
interface Fate {
  readonly sendsAfter: number;
  readonly travels: number;
  /** At which part of its travel the CRM counts it. */
  readonly counted: number;
  readonly settledAfter: number;
  readonly observedAfter: number;
  /** How long both tellings are on their way. */
  readonly transit: number;
  /** 0: it is given back instead of made; 1: it or its answer is lost; 2: its observation; else all goes well. */
  readonly luck: number;
}

interface Story {
  readonly asks: readonly Ask[];
  readonly foreign: readonly number[];
  readonly edgeOffsetMs: number;
  readonly tellsReset: boolean;
}

/** One minute as the CRM counts it. */
interface TrueMinute {
  used: number;
  foreign: number;
  /** How many of the first n calls were others', by n. */
  readonly foreignOf: number[];
}

class World {
  readonly books: AccountBooks;
  readonly minutes = new Map<number, TrueMinute>();
  ownRefused = 0;
  checks = 0;
  nowMs = MINUTE_START;
  private readonly grants = new Map<string, Grant>();
  private readonly events: { readonly at: number; readonly run: () => void }[] = [];
  private ids = 0;

  constructor(
    of: AccountConfig,
    private readonly story: Pick<Story, 'edgeOffsetMs' | 'tellsReset'>,
    private readonly max = MAX,
  ) {
    this.books = openBooks([{ version: 1, appliedAt: 0, config: of }]);
  }

  at(at: number, run: () => void): void {
    let index = this.events.length;
    while (index > 0 && this.events[index - 1]!.at > at) index -= 1;
    this.events.splice(index, 0, { at, run });
  }

  run(): void {
    for (let next = this.events.shift(); next; next = this.events.shift()) {
      this.nowMs = Math.max(this.nowMs, next.at);
      expire(this.books, this.nowMs, new LedgerChanges());
      forgetPast(this.books, this.nowMs);
      next.run();
    }
  }

  minute(): LimitBook {
    return this.books.limits.find(({ limit }) => limit.name === 'minute')!;
  }

  trueMinute(at: number): TrueMinute {
    const { edgeOffsetMs } = this.story;
    const startsAt = Math.floor((at - edgeOffsetMs) / MINUTE_MS) * MINUTE_MS;
    let minute = this.minutes.get(startsAt);
    if (!minute) this.minutes.set(startsAt, (minute = { used: 0, foreign: 0, foreignOf: [0] }));
    return minute;
  }

  /** The CRM counts a call, or refuses it. */
  count(foreign: boolean): { readonly refused: boolean; readonly headers: Record<string, string> } {
    const minute = this.trueMinute(this.nowMs);
    const refused = minute.used >= this.max;
    if (!refused) {
      minute.used += 1;
      if (foreign) minute.foreign += 1;
      minute.foreignOf.push(minute.foreign);
    }
    const sinceEdge = (this.nowMs - this.story.edgeOffsetMs) % MINUTE_MS;
    const resets = String(Math.max(1, Math.ceil((MINUTE_MS - sinceEdge) / 1_000)));
    const headers: Record<string, string> = {
      'x-rate-limit': `${this.max}`,
      'x-rate-limit-remaining': `${this.max - minute.used}`,
    };
    if (this.story.tellsReset) headers['ratelimit-reset'] = resets;
    if (refused) headers['retry-after'] = resets;
    return { refused, headers };
  }

  ask({ integration: of, fates }: Omit<Ask, 'at'>): void {
    const integration = INTEGRATIONS[of]!;
    this.ids += 1;
    const moment = { nowMs: this.nowMs, newId: () => `g${this.ids}`, known: null };
    const calls = { min: 1, max: fates.length };
    const request = {
      requestId: `r${this.ids}`,
      kind: 'other' as const,
      calls,
      priority: 'normal' as const,
      waitMs: 0,
    };
    const answer = acquire(this.books, integration, request, moment, new LedgerChanges());
    if (answer === 'waits' || answer.answer !== 'granted') return;
    const grant = this.books.open.get(answer.grantId)!;
    this.grants.set(grant.id, grant);
    fates.slice(0, answer.calls).forEach((fate, call) => this.send(integration, grant, call, fate));
  }

  private send(integration: string, grant: Grant, call: number, fate: Fate): void {
    const sentAt = grant.notBefore + fate.sendsAfter;
    if (fate.luck === 0 || sentAt > grant.validUntil) return this.settle(integration, grant, call, fate, null, sentAt);
    const answeredAt = sentAt + fate.travels;
    if (fate.luck === 1 && fate.counted > 0.5) return this.settle(integration, grant, call, fate, sentAt, answeredAt);
    this.at(sentAt + Math.floor(fate.travels * fate.counted), () => {
      const { refused, headers } = this.count(false);
      if (refused) this.ownRefused += 1;
      this.settle(integration, grant, call, fate, sentAt, answeredAt);
      if (integration === 'ccai' && fate.luck > 2) this.observe(grant, fate, { refused, headers, answeredAt });
    });
  }

  /** Told a while after the answer, and on its way for another while: its durations count back from when it left. */
  private settle(
    integration: string,
    grant: Grant,
    call: number,
    fate: Fate,
    sentAt: number | null,
    answeredAt: number,
  ): void {
    const leavesAt = answeredAt + fate.settledAfter;
    this.at(leavesAt + fate.transit, () => {
      const answeredAgoMs = fate.luck === 1 ? null : leavesAt - answeredAt;
      const used = sentAt === null ? [] : [{ call, sentAgoMs: leavesAt - sentAt, answeredAgoMs }];
      this.ids += 1;
      // Returned calls are taken from the end, so a call that isn't made is left to expire unless it is the last.
      const open = grant.calls.findLastIndex(({ state }) => state === 'open');
      if (sentAt === null && open !== call) return;
      const request = { requestId: `s${this.ids}`, grantId: grant.id, used, returned: sentAt === null ? 1 : 0 };
      settle(this.books, integration, grant, request, { nowMs: this.nowMs, heldMs: 0 }, new LedgerChanges());
    });
  }

  private observe(
    grant: Grant,
    fate: Fate,
    { refused, headers, answeredAt }: { refused: boolean; headers: Record<string, string>; answeredAt: number },
  ): void {
    const leavesAt = answeredAt + fate.observedAfter;
    this.at(leavesAt + fate.transit, () => {
      const told = { grantId: grant.id, kind: 'other' as const, headers, answeredAgoMs: leavesAt - answeredAt };
      const refusal = refused ? { refusal: 'Number of allowed API requests per minute exceeded' } : {};
      const request = { ...told, status: refused ? 429 : 200, ...refusal };
      const known = this.books.open.get(grant.id) ?? (fate.luck % 2 === 0 ? grant : null);
      const moment = { nowMs: this.nowMs, heldMs: 0 };
      observe(this.books, 'ccai', known, request, moment, new LedgerChanges());
      observe(this.books, 'ccai', known, request, moment, new LedgerChanges());
      this.check();
    });
  }

  /** What the ledger believes of each window is true of it. */
  private check(): void {
    for (const { startsAt, atLeast, atMost, readings } of this.minute().foreign.windows) {
      const newest = readings.at(-1);
      if (!newest) continue;
      const minute = this.minutes.get(startsAt)!;
      const then = minute.foreignOf[newest.used];
      if (then === undefined) throw new Error(`${newest.used} calls told, ${minute.used} counted`);
      if (atLeast > minute.foreign) throw new Error(`at least ${atLeast}, but ${minute.foreign} foreign calls`);
      if (atMost < then) throw new Error(`at most ${atMost}, but ${then} foreign calls of ${newest.used}`);
      this.checks += 1;
    }
  }
}

const soon = (mostMs: number): fc.Arbitrary<number> => fc.oneof(fc.constant(0), fc.nat(mostMs));

const fate: fc.Arbitrary<Fate> = fc.record({
  sendsAfter: soon(3_000),
  travels: soon(REQUEST_TIMEOUT_MS),
  counted: fc.oneof(fc.constant(0), fc.constant(1), fc.double({ min: 0, max: 1, noNaN: true })),
  settledAfter: soon(4_000),
  observedAfter: soon(6_000),
  transit: fc.oneof(fc.constant(0), fc.nat(300), fc.nat(5_000)),
  luck: fc.nat(12),
});

const asksWithin = (fromMs: number, toMs: number, of: fc.Arbitrary<Fate>): fc.Arbitrary<Ask[]> =>
  fc.array(
    fc.record({
      at: fc.integer({ min: fromMs, max: toMs }),
      integration: fc.nat(INTEGRATIONS.length - 1),
      fates: fc.array(of, { minLength: 1, maxLength: 4 }),
    }),
    { minLength: 5, maxLength: 60, size: 'max' },
  );

const edgeOffsetMs = fc.oneof(
  fc.constant(0),
  fc.constant(1_400),
  fc.constant(-1_400),
  fc.integer({ min: -1_400, max: 1_400 }),
);

function tell(story: Story, of: AccountConfig): World {
  const world = new World(of, story);
  for (const { at, ...ask } of story.asks) world.at(MINUTE_START + at, () => world.ask(ask));
  for (const at of story.foreign) world.at(MINUTE_START + at, () => void world.count(true));
  world.run();
  return world;
}

describe('others calls', () => {
  it('always lie within the interval, however late, reordered or lost what is told of them', () => {
    let checks = 0;
    const story = fc.record({
      asks: asksWithin(0, 130_000, fate),
      foreign: fc.array(fc.nat(140_000), { maxLength: 40, size: 'max' }),
      edgeOffsetMs,
      tellsReset: fc.boolean(),
    });
    fc.assert(
      fc.property(story, fc.constantFrom(0, 5, 'auto' as const), (of, foreignPerMinute) => {
        checks += tell(of, config(foreignPerMinute)).checks;
      }),
      LIMITS,
    );
    expect(checks).toBeGreaterThan(1_000);
  });

  it('cost us no refusal while there are no more of them than what is kept free', () => {
    const kept = 8;
    const story = fc.record({
      asks: asksWithin(2_000, 175_000, fate),
      // In the first four fifths of each minute: after that what is kept free is given up.
      foreign: fc
        .tuple(
          ...[0, 1, 2].map(() => fc.array(fc.integer({ min: 1_500, max: 48_000 }), { maxLength: kept, size: 'max' })),
        )
        .map((minutes) => minutes.flatMap((times, minute) => times.map((at) => at + minute * MINUTE_MS))),
      edgeOffsetMs,
      tellsReset: fc.boolean(),
    });
    fc.assert(
      fc.property(story, (of) => expect(tell(of, config(kept)).ownRefused).toBe(0)),
      LIMITS,
    );
  });

  it('are refused in no more than one window after they began, while ours take all that is left', () => {
    const refused = [0, 0, 0, 0];
    const quick = {
      sendsAfter: 0,
      travels: 100,
      counted: 0.5,
      settledAfter: 0,
      observedAfter: 10,
      transit: 0,
      luck: 4,
    };
    const world = new World(config('auto'), { edgeOffsetMs: 0, tellsReset: true });
    for (let at = 0; at < refused.length * MINUTE_MS; at += 1_000)
      world.at(MINUTE_START + at, () => world.ask({ integration: 0, fates: [quick, quick, quick] }));
    // Twelve a minute, evenly, from the middle of the first on.
    for (let at = MINUTE_MS / 2; at < refused.length * MINUTE_MS; at += 5_000)
      world.at(MINUTE_START + at, () => {
        if (world.count(true).refused) refused[Math.floor(at / MINUTE_MS)]! += 1;
      });
    world.run();
    expect(refused.slice(2)).toEqual([0, 0]);
    expect(world.ownRefused).toBe(0);
  });

  it('are known exactly once traffic is quiet', () => {
    const well = fate.map((of) => ({ ...of, luck: 4 }));
    const story = fc.record({
      asks: asksWithin(4_000, 30_000, well),
      foreign: fc.array(fc.integer({ min: 4_000, max: 50_000 }), { maxLength: 15, size: 'max' }),
      edgeOffsetMs,
      tellsReset: fc.constant(true),
    });
    const last = { sendsAfter: 0, travels: 100, counted: 0.5, settledAfter: 0, observedAfter: 10, transit: 0, luck: 4 };
    fc.assert(
      fc.property(story, (of) => {
        const asks = [...of.asks, { at: 54_000, integration: 0, fates: [last] }];
        const world = new World(config('auto', PLENTY), of, PLENTY);
        let known: unknown = null;
        for (const { at, ...ask } of asks) world.at(MINUTE_START + at, () => world.ask(ask));
        for (const at of of.foreign) world.at(MINUTE_START + at, () => void world.count(true));
        world.at(MINUTE_START + 55_000, () => (known = foreignAt(world.minute(), world.nowMs)));
        world.run();
        const { foreign } = world.minutes.get(MINUTE_START)!;
        expect(known).toEqual({ atLeast: foreign, atMost: foreign });
      }),
      LIMITS,
    );
  });
});
