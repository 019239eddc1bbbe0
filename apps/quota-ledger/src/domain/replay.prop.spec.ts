import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  type AccountConfig,
  type AcquireRequest,
  CALL_KINDS,
  type CallKind,
  type LimitConfig,
  type ObserveRequest,
  PRIORITIES,
  type SettleRequest,
} from '#contracts';
import { acquire } from './acquire.js';
import { type AccountBooks, type AccountVersion, findGrant, forgetPast } from './books.js';
import { cancel } from './cancel.js';
import type { Counter } from './counter.js';
import { demoConfig, MINUTE_START } from './demo-books.fixture.spec.js';
import { expire } from './expire.js';
import type { ForeignWindow } from './foreign.js';
import { hold } from './hold.js';
import { LedgerChanges, WHOLE_ACCOUNT } from './ledger-changes.js';
import { observe } from './observe.js';
import { release } from './release.js';
import { type JournalTurn, rebuild, remindedMs, type StoredAccount } from './replay.js';
import { serveWaiting } from './serve-waiting.js';
import { settle } from './settle.js';
import { booksOf, type MinuteCharge, newLimits, snapshotOf, withVersion } from './snapshot.js';
import { standings } from './standing.js';
import { sumUsage, USAGE_FIELDS, type UsageRowCounts } from './usage.js';
import { runs } from './property-runs.fixture.spec.js';

/*
 * Whatever was decided, books built again from the journal, with a snapshot or without, are those from which it was decided;
 * and both go on to decide the same. Left out is only what responses told without changing a count: it isn't recorded.
 */

const MINUTE_MS = 60_000;
const KINDS: readonly CallKind[] = ['other', 'tickets.update', 'tickets.create_many', 'users.search'];
const WHO = ['ccai', 'reporting', 'billing'] as const;

const BURST: Partial<LimitConfig> = {
  name: 'burst',
  max: 6,
  lengthMs: 20_000,
  kind: 'rolling',
  draws: ['tickets.update'],
};
const OWN: readonly (readonly Partial<LimitConfig>[])[] = [
  [{ max: 14 }, { name: 'day', max: 80, lengthMs: 86_400_000 }, { name: 'per-ticket-updates', max: 3 }],
  [{ max: 14 }, BURST, { name: 'inflight-jobs', max: 2 }],
  [{ max: 9 }, { ...BURST, kind: 'fixed' }, { name: 'inflight-jobs', max: 2 }],
  [{ max: 20 }, { ...BURST, draws: [...CALL_KINDS] }, { name: 'hour', max: 40, lengthMs: 3_600_000 }],
  [{ max: 14 }, { ...BURST, lengthMs: 30_000, max: 9 }, { name: 'half', max: 12, lengthMs: 30_000 }],
];

function configOf(variant: number): AccountConfig {
  const config = demoConfig(OWN[variant % OWN.length]);
  const share = (guarantee: number, cap: number | null, weight: number) => ({
    guarantee: { percent: guarantee, calls: {} },
    cap: cap === null ? null : { percent: cap, calls: {} },
    weight,
  });
  const one = { ingest: null, quotaPasswordRef: null };
  return {
    ...config,
    quota: { ...config.quota, liveReservePercent: variant % 2 === 0 ? 20 : 0, foreignPerMinute: 'auto' },
    integrations: {
      ccai: { ...one, trusted: true, share: share(30, null, 2) },
      reporting: { ...one, trusted: false, share: share(variant % 3 === 0 ? 20 : 0, 60, 1) },
      billing: { ...one, trusted: true, share: share(0, null, 1) },
    },
  };
}

const anyNumber = fc.nat(1_000_000);
const op = fc.oneof(
  { weight: 10, arbitrary: fc.record({ do: fc.constant('acquire' as const), a: anyNumber, b: anyNumber }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('settle' as const), a: anyNumber, b: anyNumber }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('again' as const), a: anyNumber, b: anyNumber }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cancel' as const), a: anyNumber, b: anyNumber }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('places' as const), a: anyNumber, b: anyNumber }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('expire' as const), a: anyNumber, b: anyNumber }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('observe' as const), a: anyNumber, b: anyNumber }) },
);
type Op = typeof op extends fc.Arbitrary<infer T> ? T : never;

const step = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({ do: fc.constant('turn' as const), ops: fc.array(op, { minLength: 1, maxLength: 6 }) }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat(3_000) }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 3_000, max: 40_000 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 40_000, max: 200_000 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('version' as const), variant: fc.nat(9) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('restart' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('snapshot' as const) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

class World {
  private nowMs = MINUTE_START + 20_000;
  /** The same books, as they were built in different ways. */
  private copies: AccountBooks[];
  private readonly versions: AccountVersion[];
  private readonly journal: JournalTurn[] = [];
  private snapshot: StoredAccount['snapshot'] = null;
  private usageSeq = 0;
  private readonly stored: UsageRowCounts[] = [];
  readonly asked: { integration: string; body: AcquireRequest }[] = [];
  readonly settles: { integration: string; body: SettleRequest }[] = [];
  private ids = 0;

  constructor(private readonly observes: boolean) {
    this.versions = [{ version: 1, appliedAt: this.nowMs - 1, config: configOf(0) }];
    this.copies = [booksOf(this.versions, null)];
    this.tell([{ account: 'demo', integration: WHOLE_ACCOUNT, event: 'applied', entries: [applied(1, [])] }]);
  }

  run(next: Step): void {
    switch (next.do) {
      case 'turn':
        return this.turn(next.ops);
      case 'wait':
        return this.wait(next.ms);
      case 'version':
        return this.change(next.variant);
      case 'restart':
        return this.restart();
      case 'snapshot':
        return this.takeSnapshot();
      default:
        throw new Error(String(next satisfies never));
    }
  }

  /** What nobody settled expires in its time. */
  private wait(ms: number): void {
    const until = this.nowMs + ms;
    for (;;) {
      const due = Math.min(...[...this.copies[0]!.open.values()].map(({ settleBy }) => settleBy));
      if (due > until) break;
      this.nowMs = Math.max(this.nowMs, Math.ceil(due));
      this.turn([{ do: 'expire', a: 0, b: 0 }]);
    }
    this.nowMs = until;
  }

  /** Decided by every copy: answered and told alike. */
  private turn(ops: readonly Op[]): void {
    const before = this.ids;
    const [asked, settles] = [[...this.asked], [...this.settles]];
    const [first, ...others] = this.copies.map((books) => {
      this.ids = before;
      const changes = new LedgerChanges();
      const moment = { nowMs: this.nowMs, newId: () => `g${(this.ids += 1)}` };
      const answers = ops.map((one) =>
        this.decide(books, one, moment, changes, { asked, settles, leads: books === this.copies[0] }),
      );
      const served = serveWaiting(books, moment, changes);
      return { answers, served, events: changes.events };
    });
    for (const other of others) expect(other).toEqual(first);
    if (first!.events.length > 0) this.tell(first!.events);
  }

  private decide(
    books: AccountBooks,
    { do: what, a, b }: Op,
    moment: { readonly nowMs: number; readonly newId: () => string },
    changes: LedgerChanges,
    { asked, settles, leads }: Pick<World, 'asked' | 'settles'> & { readonly leads: boolean },
  ) {
    const integration = WHO[a % WHO.length]!;
    const { nowMs } = moment;
    const at = { nowMs, heldMs: b % 7 };
    const known = [...books.open.values(), ...[...books.past.values()].map((one) => one.grant)];
    known.sort((one, other) => (one.id < other.id ? -1 : 1));
    const grant = (number: number) => known[number];
    const size = known.length;
    switch (what) {
      case 'acquire': {
        const min = 1 + (b % 3);
        const max = min + (Math.floor(b / 3) % 4);
        const kind = KINDS[Math.floor(a / 3) % KINDS.length]!;
        const keys = Array.from({ length: max }, (_, index) => ({ ticket: `t${(b + index * index) % 3}` }));
        const body: AcquireRequest = {
          requestId: `r${this.journal.length}-${a % 50}`,
          kind,
          calls: { min, max },
          priority: PRIORITIES[Math.floor(b / 12) % PRIORITIES.length]!,
          waitMs: b % 2 === 0 ? 0 : b % 50_000,
          ...(kind === 'tickets.update' ? { keys } : {}),
        };
        if (leads) this.asked.push({ integration, body });
        return acquire(books, integration, body, moment, changes);
      }
      case 'again': {
        const again = asked[asked.length - 1 - (a % Math.max(1, Math.min(9, asked.length)))];
        const settled = settles.at(-1 - (b % 5));
        if (b % 2 === 0 && settled)
          return settle(books, settled.integration, findGrant(books, settled.body.grantId), settled.body, at, changes);
        return again ? acquire(books, again.integration, again.body, moment, changes) : null;
      }
      case 'settle': {
        const found = size === 0 ? undefined : grant(a % size);
        if (!found) return null;
        const open = found.calls.flatMap(({ state }, index) => (state === 'open' ? [index] : []));
        const used = open
          .filter((_, index) => (b >> index) % 2 === 0)
          .slice(0, 1 + (b % 4))
          .map((call) => ({ call, sentAgoMs: b % 9_000, answeredAgoMs: b % 5 === 0 ? null : (b % 9_000) / 2 }));
        const body = {
          requestId: `s${this.journal.length}-${a % 9}`,
          grantId: found.id,
          used,
          returned: Math.min(open.length - used.length, Math.floor(b / 16) % 3) + (b % 61 === 0 ? 1 : 0),
        };
        if (leads) this.settles.push({ integration: found.integration, body });
        return settle(books, found.integration, found, body, at, changes);
      }
      case 'cancel': {
        const one = asked[a % Math.max(1, asked.length)];
        return one ? cancel(books, one.integration, { requestId: one.body.requestId }, nowMs) : null;
      }
      case 'places': {
        const taken = books.holds.flatMap((book) => [...book.taken.values()]);
        const place = taken[a % Math.max(1, taken.length)];
        if (b % 3 > 0 && place)
          return release(books, place.integration, { requestId: 'x', holdIds: [place.id] }, changes);
        const request = { requestId: `h${a % 4}`, limit: 'inflight-jobs', places: 1 };
        return hold(books, integration, request, moment, changes);
      }
      case 'expire':
        return expire(books, nowMs, changes);
      case 'observe': {
        if (!this.observes) return null;
        const found = size === 0 ? undefined : grant(b % size);
        const own = b % 3 === 0 || !found ? null : found;
        const max = b % 11 === 0 ? 10 + (a % 6) : 14;
        const body: ObserveRequest = {
          grantId: own?.id ?? null,
          kind: own?.kind ?? KINDS[a % KINDS.length]!,
          status: b % 13 === 0 ? 429 : 200,
          headers: {
            'x-rate-limit': String(max),
            'x-rate-limit-remaining': String(b % 13 === 0 ? 0 : a % (max + 1)),
            ...(b % 26 === 0 ? { 'retry-after': String(b % 40) } : {}),
          },
          ...(b % 13 === 0 ? { refusal: REFUSALS[a % REFUSALS.length]! } : {}),
          answeredAgoMs: b % 1_500,
        };
        return observe(books, own?.integration ?? integration, own, body, at, changes);
      }
      default:
        throw new Error(String(what satisfies never));
    }
  }

  private change(variant: number): void {
    const version = this.versions.length + 1;
    this.versions.push({ version, appliedAt: this.nowMs, config: configOf(variant) });
    const charges: MinuteCharge[] = [];
    const [first] = this.copies;
    for (const { limit } of newLimits(first!, this.versions)) {
      if (limit.scope !== 'account') continue;
      const fromMs = this.nowMs - limit.lengthMs - limit.edgeMs - MINUTE_MS;
      for (const { integration, startsAt, used, expired } of sumUsage([...this.stored, ...first!.usage.rows()]))
        if (startsAt >= fromMs && used + expired > 0) charges.push([limit.name, integration, startsAt, used + expired]);
    }
    for (const books of this.copies) forgetPast(books, this.nowMs);
    this.copies = this.copies.map((books) => withVersion(books, this.versions, charges));
    this.tell([
      { account: 'demo', integration: WHOLE_ACCOUNT, event: 'applied', entries: [applied(version, charges)] },
    ]);
  }

  private tell(events: JournalTurn['events']): void {
    this.journal.push(json({ seq: this.journal.length + 1, atMs: this.nowMs, events }));
  }

  private takeSnapshot(): void {
    const rows = this.copies.map((books) => books.usage.take());
    this.stored.push(...rows[0]!);
    this.usageSeq = this.journal.length;
    for (const books of this.copies) forgetPast(books, this.nowMs);
    this.snapshot = { seq: this.journal.length, books: json(snapshotOf(this.copies[0]!)) };
  }

  private restart(): void {
    const { usageSeq, nowMs, snapshot } = this;
    const remembered = this.journal.findLast(({ atMs }) => atMs < nowMs - remindedMs([this.versions]))?.seq ?? 0;
    const afterSeq = Math.min(remembered, snapshot?.seq ?? 0);
    const build = (one: StoredAccount['snapshot'], turns: readonly JournalTurn[]): AccountBooks => {
      const accounts = [json({ versions: this.versions, snapshot: one })];
      return rebuild({ accounts, turns: json(turns), usageSeq, nowMs })[0]!;
    };
    const again = [build(null, this.journal)];
    if (snapshot)
      again.push(
        build(
          snapshot,
          this.journal.filter(({ seq }) => seq > afterSeq),
        ),
      );
    const before = this.copies.map((books) => standingOf(books, nowMs));
    for (const books of again) for (const one of before) expect(standingOf(books, nowMs)).toEqual(one);
    this.copies = this.observes ? [again[0]!] : again;
    this.assertAddsUp();
  }

  private assertAddsUp(): void {
    for (const row of sumUsage([...this.stored, ...this.copies[0]!.usage.rows()])) {
      const { granted, used, returned, expired, open } = row;
      expect(Math.min(used, returned, expired, open)).toBeGreaterThanOrEqual(0);
      expect(granted).toBe(used + returned + expired + open);
    }
  }
}

const REFUSALS = ['Number of allowed API requests per minute exceeded', 'TooManyJobs', 'edge protection'];

function applied(version: number, charges: readonly MinuteCharge[]): object {
  return { version, origin: 'file', charges };
}

function json<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

/** All that is known of an account, in an order of its own. */
function standingOf(books: AccountBooks, nowMs: number): object {
  forgetPast(books, nowMs);
  const limits = books.limits.map(({ limit, whole, byKey, maxima, foreign, licence }) => ({
    name: limit.name,
    whole: counted(whole),
    byKey: sorted([...byKey].map(([key, counter]) => [key, counted(counter)] as const)).filter(
      ([, one]) => one !== null,
    ),
    maxima,
    foreign: foreign.windows.flatMap(told),
    untrusted: sorted(Object.entries(foreign.untrusted).map(([name, window]) => [name, told(window)])),
    headroom: foreign.headroom,
    adoptedAt: licence.adoptedAt,
  }));
  return json({
    version: books.version,
    standings: standings(books, nowMs, null),
    limits,
    holds: books.holds.map(({ limit, taken, closedUntil }) => ({
      name: limit.name,
      taken: sorted([...taken]),
      closedUntil,
    })),
    closedForOne: sorted([...books.closedForOne].filter(([, until]) => until > nowMs)),
    open: sorted([...books.open]),
    past: sorted([...books.past]),
    byRequest: sorted([...books.byRequest].map(([key, { id }]) => [key, id])),
    usage: sumUsage(books.usage.rows())
      .filter((row) => USAGE_FIELDS.some((field) => row[field] !== 0))
      .toSorted((a, b) => a.startsAt - b.startsAt || (a.integration < b.integration ? -1 : 1)),
  });
}

function counted(counter: Counter): object | null {
  const { closedUntil, counts } = counter.state();
  const known = counts
    .map(([from, to, charged, open, foreign, tallies]) => ({
      from,
      to,
      charged,
      open,
      foreign,
      tallies: tallied(tallies),
    }))
    .filter(({ charged, foreign, tallies }) => charged > 0 || foreign > 0 || tallies.length > 0);
  return known.length === 0 && closedUntil === 0 ? null : { closedUntil, known };
}

function tallied(tallies: readonly (readonly [name: string, calls: number, lost: number])[]): object[] {
  return sorted(tallies.map(([name, calls, lost]) => [name, [calls, lost]] as const)).filter(
    ([, [calls, lost]]) => calls !== 0 || lost !== 0,
  );
}

function told({ startsAt, refused, atLeast, atMost, charged, counted: most, filledAt }: ForeignWindow): object[] {
  return atMost + refused + most === 0 && filledAt === null
    ? []
    : [{ startsAt, refused, atLeast, atMost, charged, most, filledAt }];
}

function sorted<T>(entries: readonly (readonly [string, T])[]): (readonly [string, T])[] {
  return entries.toSorted(([a], [b]) => (a < b ? -1 : 1));
}

describe('books built again', () => {
  for (const observes of [false, true])
    it(`stand as they stood, and go on alike${observes ? ', also with what the CRM told' : ''}`, () => {
      const property = fc.property(fc.array(step, { minLength: 5, maxLength: 60 }), (steps) => {
        const world = new World(observes);
        for (const one of steps) world.run(one);
        world.run({ do: 'restart' });
      });
      fc.assert(property, { numRuns: runs(40) });
    });
});
