import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { DEFAULT_QUOTA_POLICY, DEFAULT_SHARE, type AccountConfig, type CallKind, type SettleRequest } from '#contracts';
import { DEFAULT_POLICY } from '#accounts';
import { draws, type Limit, limitsOf, windowsBetween } from '#limits';
import { acquire } from './acquire.js';
import { type AccountBooks, findGrant, openBooks } from './books.js';
import { expire } from './expire.js';
import { countsOf, type Grant } from './grant.js';
import { LedgerChanges, WHOLE_ACCOUNT } from './ledger-changes.js';
import { type JournalTurn, rebuild, type StoredAccount } from './replay.js';
import { release } from './release.js';
import { settle } from './settle.js';
import { snapshotOf } from './snapshot.js';
import { standings } from './standing.js';
import { sumUsage, type UsageRowCounts } from './usage.js';
import { runs } from './property-runs.fixture.spec.js';

/*
 * A naive CRM that counts for itself, in windows whose edges lie off by up to the stated edge, beside the real decisions.
 * Clients use their grants as they may: send at any moment from "not before" until "valid until" on their own clocks, have
 * calls arrive at any moment until the time-out, settle early, late, twice, or never.
 */

const START = Date.UTC(2026, 0, 5, 10, 0, 0);
const MINUTE_MS = 60_000;
const REQUEST_TIMEOUT_MS = 3_000;
/** How long a settle is on its way to the ledger. */
const TRAVEL_MS = 300;
const KINDS: readonly CallKind[] = ['tickets.update', 'tickets.create', 'tickets.create_many', 'users.search'];

function config(minute: number, day: number, rolling: number): AccountConfig {
  const limit = { kind: null, anchor: null, draws: null };
  return {
    name: 'demo',
    crm: {
      type: 'zendesk',
      baseUrl: 'http://127.0.0.1:1',
      credential: { kind: 'oauth', tokenRef: 'env:TOKEN' },
      licence: 'team',
      externalIdPrefix: 'ccai-',
      timeScale: 1,
      requestTimeoutMs: REQUEST_TIMEOUT_MS,
    },
    limits: [
      { ...limit, name: 'minute', max: minute, lengthMs: null },
      { ...limit, name: 'day', max: day, lengthMs: 86_400_000 },
      { ...limit, name: 'burst', max: rolling, lengthMs: 20_000, kind: 'rolling', draws: ['tickets.update'] },
      { ...limit, name: 'per-ticket-updates', max: 3, lengthMs: null },
      { ...limit, name: 'inflight-jobs', max: 2, lengthMs: null },
    ],
    batching: 'auto',
    quota: DEFAULT_QUOTA_POLICY,
    dryRun: false,
    integrations: {
      ccai: { ingest: null, trusted: true, share: DEFAULT_SHARE, quotaPasswordRef: null },
      reporting: { ingest: null, trusted: false, share: DEFAULT_SHARE, quotaPasswordRef: null },
    },
    policy: DEFAULT_POLICY,
  };
}

interface Arrival {
  readonly kind: CallKind;
  readonly at: number;
  readonly ticket: string | undefined;
}

type Step =
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'waitForEdge'; readonly offsetMs: number }
  | {
      readonly do: 'acquire';
      readonly kind: number;
      readonly min: number;
      readonly more: number;
      readonly tickets: number[];
    }
  | {
      readonly do: 'use';
      readonly grant: number;
      readonly calls: number;
      readonly after: number;
      readonly travel: number;
      readonly arrives: number;
      readonly tell: number;
    }
  | { readonly do: 'giveBack'; readonly grant: number }
  | { readonly do: 'expire' }
  | { readonly do: 'release'; readonly hold: number }
  | { readonly do: 'restart'; readonly withSnapshot: boolean };

/** Waits of every kind, most of them to where windows meet. */
const wait: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('wait' as const), ms: fc.nat(2_000) }),
  fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 15_000, max: 24_000 }) }),
  fc.record({ do: fc.constant('waitForEdge' as const), offsetMs: fc.integer({ min: -14_000, max: -500 }) }),
  fc.record({ do: fc.constant('waitForEdge' as const), offsetMs: fc.integer({ min: -2_000, max: 3_000 }) }),
);

const stepOf = (kind: fc.Arbitrary<number>): fc.Arbitrary<Step> =>
  fc.oneof(
    { weight: 6, arbitrary: wait },
    {
      weight: 8,
      arbitrary: fc.record({
        do: fc.constant('acquire' as const),
        kind,
        min: fc.integer({ min: 1, max: 2 }),
        more: fc.nat(6),
        tickets: fc.array(fc.nat(2), { minLength: 8, maxLength: 8 }),
      }),
    },
    {
      weight: 8,
      arbitrary: fc.record({
        do: fc.constant('use' as const),
        grant: fc.nat(),
        calls: fc.integer({ min: 1, max: 8 }),
        after: fc.oneof(fc.constant(0), fc.constant(10_000), fc.nat(10_000)),
        travel: fc.oneof(fc.constant(0), fc.constant(REQUEST_TIMEOUT_MS), fc.nat(REQUEST_TIMEOUT_MS)),
        arrives: fc.oneof(fc.constant(0), fc.constant(1), fc.double({ min: 0, max: 1, noNaN: true })),
        tell: fc.nat(3),
      }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('giveBack' as const), grant: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('expire' as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('release' as const), hold: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const), withSnapshot: fc.boolean() }) },
  );

/** A client's grant: what it may still do. */
interface Held {
  readonly grant: Grant;
  readonly tickets: (string | undefined)[];
  /** Calls not yet sent, by their number in the grant. */
  readonly unsent: number[];
}

class World {
  nowMs = START;
  books: AccountBooks;
  readonly arrivals: Arrival[] = [];
  readonly held: Held[] = [];
  readonly grants = new Map<string, Grant>();
  readonly holds: string[] = [];
  /** What a disk would hold: the journal, now and then a snapshot, and usage up to a turn. */
  private readonly journal: JournalTurn[] = [];
  private snapshot: StoredAccount['snapshot'] = null;
  private readonly stored: UsageRowCounts[] = [];
  /** Answers under way: told to the ledger when their time has come. */
  private readonly telling: {
    readonly at: number;
    readonly request: SettleRequest;
    readonly sentAt: number;
    readonly answeredAt: number;
  }[] = [];
  private ids = 0;

  constructor(private readonly of: AccountConfig) {
    this.books = openBooks(this.versions());
    const applied = { version: 1, origin: 'file', charges: [] };
    const events = [{ account: 'demo', integration: WHOLE_ACCOUNT, event: 'applied' as const, entries: [applied] }];
    this.journal.push({ seq: 1, atMs: START, events });
  }

  run(next: Step): void {
    switch (next.do) {
      case 'wait':
        return this.wait(next.ms);
      case 'waitForEdge': {
        const edge = Math.ceil((this.nowMs + 1 - next.offsetMs) / MINUTE_MS) * MINUTE_MS;
        return this.wait(edge + next.offsetMs - this.nowMs);
      }
      case 'acquire':
        return this.acquire(next);
      case 'use':
        return this.use(next);
      case 'giveBack':
        return this.giveBack(next.grant);
      case 'expire':
        return this.change((changes) => void expire(this.books, this.nowMs, changes));
      case 'release':
        return this.release(next.hold);
      case 'restart':
        return this.restart(next.withSnapshot);
      default:
        throw new Error(String(next satisfies never));
    }
  }

  private wait(ms: number): void {
    const until = this.nowMs + ms;
    for (;;) {
      this.telling.sort((a, b) => a.at - b.at);
      const due = this.telling[0];
      if (!due || due.at > until) break;
      this.telling.shift();
      this.nowMs = Math.max(this.nowMs, due.at);
      this.tell(due.request, due.sentAt, due.answeredAt);
    }
    this.nowMs = until;
  }

  private acquire(next: Step & { do: 'acquire' }): void {
    const kind = KINDS[next.kind]!;
    const max = next.min + next.more;
    const tickets = next.tickets.slice(0, max).map((ticket) => `t${ticket}`);
    const keys = kind === 'tickets.update' ? tickets.map((ticket) => ({ ticket })) : undefined;
    const before = JSON.stringify(standings(this.books, this.nowMs, null));
    this.ids += 1;
    const request = {
      requestId: `r${this.ids}`,
      kind,
      ...(keys ? { keys } : {}),
      calls: { min: next.min, max },
      priority: 'normal' as const,
      waitMs: 0,
    };
    this.change((changes) => {
      const moment = { nowMs: this.nowMs, newId: () => `g${this.ids}` };
      const answer = acquire(this.books, 'ccai', request, moment, changes);
      if (answer === 'waits') throw new Error('nobody asked to wait');
      if (answer.answer !== 'granted') {
        // A refusal burns nothing.
        expect(changes.isEmpty()).toBe(true);
        expect(JSON.stringify(standings(this.books, this.nowMs, null))).toBe(before);
        if (answer.answer === 'refused') expect(answer.retryInMs).toBeGreaterThan(0);
        return;
      }
      expect(answer.calls).toBeGreaterThanOrEqual(next.min);
      expect(answer.calls).toBeLessThanOrEqual(max);
      const grant = this.books.open.get(answer.grantId)!;
      this.grants.set(grant.id, grant);
      this.holds.push(...answer.holdIds);
      const granted = Array.from({ length: answer.calls }, (_, index) => index);
      this.held.push({ grant, tickets: granted.map((index) => keys?.[index]?.ticket), unsent: granted });
    });
  }

  /** Sends calls of a late grant, at some moment at which they may be sent, and lets them arrive and be answered. */
  private use(next: Step & { do: 'use' }): void {
    const held = this.held[this.held.length - 1 - (next.grant % Math.min(3, this.held.length))];
    if (!held) return;
    const sentAt = Math.max(this.nowMs, held.grant.notBefore + next.after);
    if (sentAt > held.grant.validUntil) return;
    const answeredAt = sentAt + next.travel;
    for (const call of held.unsent.splice(0, next.calls)) {
      this.arrivals.push({
        kind: held.grant.kind,
        at: sentAt + Math.floor(next.travel * next.arrives),
        ticket: held.tickets[call],
      });
      // 0: nobody ever tells; else the settle takes its time.
      if (next.tell === 0) continue;
      this.ids += 1;
      const used = [{ call, sentAgoMs: 0, answeredAgoMs: 0 }];
      const request = { requestId: `s${this.ids}`, grantId: held.grant.id, used, returned: 0 };
      this.telling.push({ at: answeredAt + TRAVEL_MS + (next.tell - 1) * 700, request, sentAt, answeredAt });
    }
  }

  private tell(request: SettleRequest, sentAt: number, answeredAt: number): void {
    // The settle left a while ago: its durations count back from then.
    const sent = this.nowMs - TRAVEL_MS;
    const used = request.used.map(({ call }) => ({
      call,
      sentAgoMs: Math.max(0, sent - sentAt),
      answeredAgoMs: Math.max(0, sent - answeredAt),
    }));
    this.change((changes) => {
      const grant = this.grants.get(request.grantId)!;
      const moment = { nowMs: this.nowMs, heldMs: 0 };
      const told = { ...request, used } as SettleRequest;
      const answer = settle(this.books, 'ccai', grant, told, moment, changes);
      expect(settle(this.books, 'ccai', grant, told, moment, changes)).toEqual(answer);
    });
  }

  private giveBack(index: number): void {
    const held = this.held[index % this.held.length];
    if (!held || held.unsent.length === 0) return;
    // Returned calls are taken from the end, as are these.
    const returned = held.unsent.length;
    if (held.unsent[0] !== held.grant.calls.length - returned) return;
    held.unsent.length = 0;
    this.ids += 1;
    const request = { requestId: `s${this.ids}`, grantId: held.grant.id, used: [], returned };
    this.change(
      (changes) => void settle(this.books, 'ccai', held.grant, request, { nowMs: this.nowMs, heldMs: 0 }, changes),
    );
  }

  private release(index: number): void {
    const holdId = this.holds[index % this.holds.length];
    if (holdId !== undefined)
      this.change((changes) => void release(this.books, 'ccai', { requestId: 'x', holdIds: [holdId] }, changes));
  }

  private versions(): StoredAccount['versions'] {
    return [{ version: 1, appliedAt: START - 1, config: this.of }];
  }

  /** Rebuilt from what a disk would hold, the books must stand as they stood; from then on there is a newer snapshot, or not. */
  private restart(withSnapshot: boolean): void {
    const before = standings(this.books, this.nowMs, null);
    const usage = this.usage();
    const stored = { versions: this.versions(), snapshot: this.snapshot };
    const usageSeq = this.snapshot?.seq ?? 0;
    const [books] = rebuild({ accounts: [stored], turns: this.journal, usageSeq, nowMs: this.nowMs });
    this.books = books!;
    for (const [id, grant] of this.grants) this.grants.set(id, findGrant(this.books, id) ?? grant);
    for (const [index, held] of this.held.entries())
      this.held[index] = { ...held, grant: this.grants.get(held.grant.id)! };
    expect(standings(this.books, this.nowMs, null)).toEqual(before);
    expect(this.usage()).toEqual(usage);
    if (!withSnapshot) return;
    this.stored.push(...this.books.usage.take());
    this.snapshot = { seq: this.journal.length, books: structuredClone(snapshotOf(this.books)) };
  }

  usage(): UsageRowCounts[] {
    return sumUsage([...this.stored, ...this.books.usage.rows()])
      .filter((row) => row.granted !== 0)
      .toSorted((a, b) => a.startsAt - b.startsAt);
  }

  private change(work: (changes: LedgerChanges) => void): void {
    const changes = new LedgerChanges();
    work(changes);
    if (!changes.isEmpty())
      this.journal.push({
        seq: this.journal.length + 1,
        atMs: this.nowMs,
        events: JSON.parse(JSON.stringify(changes.events)) as JournalTurn['events'],
      });
    for (const { taken, limit } of this.books.holds) expect(taken.size).toBeLessThanOrEqual(limit.max);
  }
}

/** How many arrivals the fullest window of a limit saw, where its edges lie `offsetMs` from ours. */
function fullestWindow(limit: Limit, arrivals: readonly Arrival[], offsetMs: number): number {
  const drawing = arrivals.filter(({ kind }) => draws(limit, kind));
  let fullest = 0;
  for (const scope of limit.scope === 'ticket' ? ['t0', 't1', 't2'] : [undefined]) {
    const times = drawing.filter(({ ticket }) => scope === undefined || ticket === scope).map(({ at }) => at);
    if (times.length === 0) continue;
    if (limit.kind === 'rolling') {
      for (const from of times)
        fullest = Math.max(fullest, times.filter((at) => at >= from && at < from + limit.lengthMs).length);
      continue;
    }
    for (const { startsAt, endsAt } of windowsBetween(
      limit,
      Math.min(...times) - MINUTE_MS,
      Math.max(...times) + MINUTE_MS,
    ))
      fullest = Math.max(fullest, times.filter((at) => at >= startsAt + offsetMs && at < endsAt + offsetMs).length);
  }
  return fullest;
}

/** What holds after any steps of any clients. */
function holdsAfter(steps: readonly Step[], of: AccountConfig, offsetMs: number): void {
  const world = new World(of);
  for (const next of steps) world.run(next);
  for (const limit of limitsOf(of).limits) {
    // The day is our own: its edges are where we say.
    const fullest = fullestWindow(limit, world.arrivals, limit.name === 'day' ? 0 : offsetMs);
    if (fullest > limit.max) throw new Error(`${limit.name}: ${fullest} calls of ${limit.max}`);
  }
  const totals = { granted: 0, used: 0, returned: 0, expired: 0, open: 0 };
  for (const row of world.usage()) {
    expect(row.granted).toBe(row.used + row.returned + row.expired + row.open);
    for (const field of ['granted', 'used', 'returned', 'expired', 'open'] as const) {
      expect(row[field]).toBeGreaterThanOrEqual(0);
      totals[field] += row[field];
    }
  }
  const counted = { granted: 0, used: 0, returned: 0, expired: 0, open: 0 };
  for (const grant of world.grants.values()) {
    const counts = countsOf(grant);
    counted.granted += grant.calls.length;
    for (const field of ['used', 'returned', 'expired', 'open'] as const) counted[field] += counts[field];
  }
  expect(totals).toEqual(counted);
}

const stepsOf = (kind: fc.Arbitrary<number>): fc.Arbitrary<Step[]> =>
  fc.array(stepOf(kind), { minLength: 30, maxLength: 150, size: 'max' });
const offset = fc.oneof(fc.constant(1_499), fc.constant(-1_499), fc.integer({ min: -1_499, max: 1_499 }));

describe('the ledger', () => {
  it('never lets more calls arrive in any window than its limit, whatever clients do, and its sums are exact', () => {
    const property = fc.property(
      stepsOf(fc.nat(KINDS.length - 1)),
      fc.integer({ min: 3, max: 6 }),
      fc.oneof(fc.integer({ min: 5, max: 20 }), fc.constant(1_000)),
      fc.oneof(fc.integer({ min: 3, max: 5 }), fc.constant(1_000)),
      offset,
      (steps, minute, day, rolling, offsetMs) => holdsAfter(steps, config(minute, day, rolling), offsetMs),
    );
    fc.assert(property, { numRuns: runs(60) });
  });

  it('never lets more calls arrive in any span of a rolling window', () => {
    const updates = fc.constant(KINDS.indexOf('tickets.update'));
    const property = fc.property(stepsOf(updates), fc.integer({ min: 2, max: 4 }), (steps, rolling) =>
      holdsAfter(steps, config(1_000, 1_000, rolling), 0),
    );
    fc.assert(property, { numRuns: runs(40) });
  });
});
