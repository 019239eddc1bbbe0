/*
 * The limits of the simulated account, as data, and the counters that enforce them. Enforcing counters lag at the turn
 * of a window as Zendesk's do; the books (books.ts) count true windows, apart from this.
 */
import { zonedDayOf } from './calendar.js';
import type { OperationKind } from './operations.js';
import { type SimulatorOptions, licenceOf } from './options.js';
import { fractionAt } from './random.js';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/** Whose calls share one counter of a limit. */
export type LimitScope = 'account' | 'actor-and-ticket' | 'actor-and-ip' | 'target-user' | 'organization';

/** One rule: at most `max` calls of these kinds in each window. */
export interface LimitRule {
  readonly name: string;
  readonly windowMs: number | 'day';
  readonly max: number;
  readonly scope: LimitScope;
  readonly kinds: ReadonlySet<OperationKind> | 'all';
  /** Where windows begin: by the wall clock, or, for each key by itself, with its first call. */
  readonly begins: 'wall-clock' | 'first-call';
  /** Lists only count from beyond this page on. */
  readonly beyondPage: number | undefined;
  /** `account`: the account's own headers tell of it. Else the name after `zendesk-ratelimit-`, or undefined for none. */
  readonly toldBy: string | undefined;
}

/** What a call draws on limits with. */
export interface LimitSubject {
  readonly kind: OperationKind;
  readonly actorId: number;
  readonly ip: string;
  readonly ticketId: number | undefined;
  readonly targetUser: string | undefined;
  readonly organizationId: number | undefined;
  readonly page: number;
  /** How many tickets an `update_many` changes. */
  readonly tickets: number;
}

/** What one rule said to a call. */
export interface Draw {
  readonly rule: LimitRule;
  readonly remaining: number;
  readonly resetsInSeconds: number;
  readonly refused: boolean;
}

interface Counter {
  startMs: number;
  endMs: number;
  counts: Map<string, number>;
}

/** Rules in force and their counters. */
export interface LimitState {
  rules: readonly LimitRule[];
  rulesOfKind: Map<OperationKind, readonly LimitRule[]>;
  readonly counters: Map<string, Counter>;
  /** Counters of rules whose windows begin with a first call, by rule and key. */
  readonly ownCounters: Map<string, Counter>;
}

function kinds(...of: OperationKind[]): ReadonlySet<OperationKind> {
  return new Set(of);
}

/** The rules that the options make; sources of the numbers in docs/zendesk.md. */
export function rulesOf(options: SimulatorOptions): LimitRule[] {
  const { limitPerMinute, highVolume } = licenceOf(options);
  const updates = options.sandbox ? (highVolume ? 100 : 20) : highVolume ? 300 : 100;
  const account = { scope: 'account', kinds: 'all', begins: 'wall-clock', beyondPage: undefined } as const;
  const endpoint = { windowMs: MINUTE_MS, scope: 'account', begins: 'wall-clock', beyondPage: undefined } as const;
  const userWrites = kinds('users.create_or_update', 'users.update');
  const rules: LimitRule[] = [
    { ...account, name: 'account-ceiling', windowMs: MINUTE_MS, max: 100_000, toldBy: undefined },
    { ...account, name: 'account-minute', windowMs: MINUTE_MS, max: limitPerMinute, toldBy: 'account' },
    {
      ...endpoint,
      name: 'tickets-update',
      max: updates,
      kinds: kinds('tickets.update', 'tickets.update_many'),
      toldBy: 'tickets-update',
    },
    {
      name: 'per-ticket-updates',
      windowMs: 10 * MINUTE_MS,
      max: 30,
      scope: 'actor-and-ticket',
      kinds: kinds('tickets.update'),
      begins: options.open.perTicketWindow === 'wall-clock' ? 'wall-clock' : 'first-call',
      beyondPage: undefined,
      toldBy: 'per-ticket-updates',
    },
    {
      ...endpoint,
      name: 'tickets-create',
      max: 300,
      scope: 'actor-and-ip',
      kinds: kinds('tickets.create'),
      toldBy: 'ticket-request-create-by-user-and-ip',
    },
    {
      ...endpoint,
      name: 'user-updates-second',
      windowMs: 1000,
      max: 1,
      kinds: userWrites,
      toldBy: 'create-update-user',
    },
    {
      ...endpoint,
      name: 'user-updates',
      max: 5,
      scope: 'target-user',
      kinds: userWrites,
      toldBy: 'create-update-user',
    },
    {
      ...endpoint,
      name: 'tickets-index',
      max: 50,
      kinds: kinds('tickets.list'),
      beyondPage: 500,
      toldBy: 'tickets-index',
    },
    {
      ...endpoint,
      name: 'incremental-exports',
      max: highVolume ? 30 : 10,
      kinds: kinds('incremental.tickets'),
      toldBy: 'incremental-exports',
    },
    { ...endpoint, name: 'search-export', max: 100, kinds: kinds('search.export'), toldBy: 'search-export' },
    {
      ...endpoint,
      name: 'organization-updates',
      max: 5,
      scope: 'organization',
      kinds: kinds('organizations.update'),
      toldBy: 'update-organization',
    },
    { ...endpoint, name: 'tickets-delete', max: 400, kinds: kinds('tickets.delete'), toldBy: 'tickets-delete' },
  ];
  if (options.limitPerDay !== null)
    rules.splice(2, 0, {
      ...account,
      name: 'account-day',
      windowMs: 'day',
      max: options.limitPerDay,
      toldBy: 'account-day',
    });
  return rules.flatMap((rule) => overridden(rule, options.endpointLimits));
}

function overridden(rule: LimitRule, maxima: SimulatorOptions['endpointLimits']): LimitRule[] {
  const max = maxima[rule.name];
  if (max === undefined) return [rule];
  return max === null ? [] : [{ ...rule, max }];
}

/** The rules of these options, nothing counted yet. */
export function newLimits(options: SimulatorOptions): LimitState {
  return { rules: rulesOf(options), rulesOfKind: new Map(), counters: new Map(), ownCounters: new Map() };
}

/** Puts changed rules in force at once; what the running windows have counted stays. */
export function changeRules(limits: LimitState, options: SimulatorOptions): void {
  limits.rules = rulesOf(options);
  limits.rulesOfKind.clear();
}

/** The rules a kind of call draws on, the account's first. */
export function rulesFor(limits: LimitState, kind: OperationKind): readonly LimitRule[] {
  let rules = limits.rulesOfKind.get(kind);
  if (!rules) {
    rules = limits.rules.filter((rule) => rule.kinds === 'all' || rule.kinds.has(kind));
    limits.rulesOfKind.set(kind, rules);
  }
  return rules;
}

/**
 * Counts a call against every rule that applies, in order, up to the first that refuses. A call refused by a rule is
 * counted by the rules before it: failed calls count.
 */
export function draw(limits: LimitState, options: SimulatorOptions, subject: LimitSubject, nowMs: number): Draw[] {
  const draws: Draw[] = [];
  for (const rule of rulesFor(limits, subject.kind)) {
    if (rule.beyondPage !== undefined && subject.page <= rule.beyondPage) continue;
    const drawn = drawOn(rule, { limits, options, subject, nowMs });
    if (!drawn) continue;
    draws.push(drawn);
    if (drawn.refused) break;
  }
  return draws;
}

/** Counts calls of others on one rule without asking whether it would refuse them; returns whether it would have. */
export function drawForeign(
  limits: LimitState,
  options: SimulatorOptions,
  at: { rule: LimitRule; nowMs: number },
): boolean {
  const counter = counterAt(limits, options, at.rule, at.nowMs);
  const used = counter.counts.get('') ?? 0;
  if (used >= at.rule.max) return true;
  counter.counts.set('', used + 1);
  return false;
}

function drawOn(
  rule: LimitRule,
  at: { limits: LimitState; options: SimulatorOptions; subject: LimitSubject; nowMs: number },
): Draw | undefined {
  const units = unitsOf(rule, at.subject, at.options);
  if (units === 0) return undefined;
  const key = scopeKeyOf(rule.scope, at.subject);
  const counter =
    rule.begins === 'wall-clock'
      ? counterAt(at.limits, at.options, rule, at.nowMs)
      : ownCounterAt(at.limits, rule, { key, nowMs: at.nowMs });
  const used = counter.counts.get(key) ?? 0;
  const refused = used + units > rule.max;
  if (!refused) counter.counts.set(key, used + units);
  const remaining = Math.max(0, rule.max - used - (refused ? 0 : units));
  return { rule, remaining: refused ? 0 : remaining, resetsInSeconds: secondsTo(counter, at.nowMs), refused };
}

/** How many units of a limit a call takes. */
export function unitsOf(rule: LimitRule, subject: LimitSubject, options: SimulatorOptions): number {
  if (rule.name !== 'tickets-update' || subject.kind !== 'tickets.update_many') return 1;
  switch (options.open.updateManyDraws) {
    case 'call':
      return 1;
    case 'tickets':
      return subject.tickets;
    case 'nothing':
      return 0;
  }
  return options.open.updateManyDraws satisfies never;
}

/** Under which key a call is counted by a limit. */
export function scopeKeyOf(scope: LimitScope, subject: LimitSubject): string {
  switch (scope) {
    case 'account':
      return '';
    case 'actor-and-ticket':
      return `${subject.actorId}|${subject.ticketId ?? 0}`;
    case 'actor-and-ip':
      return `${subject.actorId}|${subject.ip}`;
    case 'target-user':
      return subject.targetUser ?? '';
    case 'organization':
      return String(subject.organizationId ?? 0);
  }
  return scope satisfies never;
}

/** Seconds to the window's end, as the lagging clock sees it: never 0. */
function secondsTo(counter: Counter, nowMs: number): number {
  return Math.max(1, Math.ceil((counter.endMs - nowMs) / 1000));
}

/**
 * The counter of the window in force. A window is left only when its successor is older than the lag drawn for that
 * turn, so that the first calls after the turn may still count in the old window.
 */
function counterAt(limits: LimitState, options: SimulatorOptions, rule: LimitRule, nowMs: number): Counter {
  let counter = limits.counters.get(rule.name);
  const lagMs = counter && counter.endMs - counter.startMs >= MINUTE_MS ? lagAt(options, counter.endMs) : 0;
  if (counter && nowMs < counter.endMs + lagMs) return counter;
  const { startMs, endMs } = windowAt(rule, options, nowMs);
  if (counter && counter.startMs === startMs) return counter;
  counter = { startMs, endMs, counts: new Map() };
  limits.counters.set(rule.name, counter);
  return counter;
}

/** The window that a key's own first call has begun. Those that have ended are forgotten, oldest first. */
function ownCounterAt(limits: LimitState, rule: LimitRule, at: { key: string; nowMs: number }): Counter {
  for (const [name, { endMs }] of limits.ownCounters) {
    if (endMs > at.nowMs) break;
    limits.ownCounters.delete(name);
  }
  const name = `${rule.name}|${at.key}`;
  let counter = limits.ownCounters.get(name);
  if (!counter) {
    const lengthMs = rule.windowMs === 'day' ? DAY_MS : rule.windowMs;
    counter = { startMs: at.nowMs, endMs: at.nowMs + lengthMs, counts: new Map() };
    limits.ownCounters.set(name, counter);
  }
  return counter;
}

/** The true window of a rule at an instant: fixed, by the wall clock, UTC or of a time zone's day. */
export function windowAt(
  rule: LimitRule,
  options: SimulatorOptions,
  nowMs: number,
): { startMs: number; endMs: number } {
  if (rule.windowMs === 'day') return zonedDayOf(nowMs, options.dayTimeZone);
  const startMs = Math.floor(nowMs / rule.windowMs) * rule.windowMs;
  return { startMs, endMs: startMs + rule.windowMs };
}

function lagAt(options: SimulatorOptions, turnMs: number): number {
  return options.edgeLagMs === 0 ? 0 : fractionAt(options.seed, Math.floor(turnMs / 1000)) * options.edgeLagMs;
}
