import type { JsonObject } from '../../apps/zendesk-simulator/src/domain/json.js';
import { type Effects, simulateBaseline } from './baseline.js';
import type { PlannedInteraction } from './interactions.js';
import { DAY_STARTS_MS, FOREIGN_CALLER, OWN_CALLER, perMinuteOf, type World } from './world.js';

const DAY_MS = 86_400_000;

/** How a day went, whoever made its calls. Delays: from an event that needed something at the CRM until it was there, ms. */
export interface Service {
  /** Of tickets. Where some weren't made at all, those count as having waited until the end: then it is a lower bound. */
  readonly p50DelayMs: number;
  readonly p99DelayMs: number;
  /** Of comments and fields. */
  readonly updateP99DelayMs: number;
  /** Tickets that were there before the midnight after they were needed, of all, 0..1. */
  readonly ticketedSameDay: number;
  /** Of interactions that an agent took: those whose ticket was there before they ended, 0..1. */
  readonly ticketedBeforeEnd: number;
  /** Our calls that counted at the CRM on the day. */
  readonly callsUsed: number;
  /** What was still not there at the end. */
  readonly unfinished: { readonly tickets: number; readonly updates: number };
}

/** All of it by the simulated CRM's own books. */
export interface Measures extends Service {
  readonly interactions: number;
  readonly events: number;
  /** 429s to our calls in windows that our calls alone had filled: must be 0. */
  readonly refused429Own: number;
  /** 429s to our calls in windows of which others had taken a part. */
  readonly refused429Foreign: number;
  /** 429s to our calls in windows whose maximum was changed while they ran. */
  readonly refused429Changed: number;
  /** No ETA is told yet. */
  readonly etaInRange: null;
  readonly etaWidthRatio: null;
  readonly baseline: Omit<Service, 'unfinished'>;
  readonly callsByKind: Readonly<Record<string, number>>;
  readonly callsByHour: readonly number[];
  readonly doubled: number;
  readonly outOfOrder: number;
  /** Interactions without exactly one ticket. */
  readonly notOneTicket: number;
  readonly limitsExceeded: number;
}

/** Reads off what the day came to. */
export function measure(world: World): Measures {
  const { simulator, scenario, day } = world;
  const endMs = world.time.nowMs;
  const ours = effectsIn(world);
  const baseline = serviceOf(simulateBaseline(scenario, perMinuteOf(scenario.licence), DAY_STARTS_MS, day), Infinity);
  const audit = auditOf(world);
  const { unfinished: _, ...baselineService } = baseline;
  return {
    interactions: day.length,
    events: day.reduce((sum, { steps }) => sum + steps.length, 0),
    ...serviceOf(ours, endMs),
    ...refusalsIn(world),
    etaInRange: null,
    etaWidthRatio: null,
    baseline: baselineService,
    callsByKind: Object.fromEntries(simulator.world.books.kinds),
    callsByHour: callsByHour(world),
    ...audit,
    notOneTicket: day.filter(({ interactionId }) => ticketsOf(world, interactionId) !== 1).length,
  };
}

/** When each command took effect: the instant that stands in the CRM's books, or null where it never did. */
function effectsIn({ simulator, due }: World): Effects {
  const tookEffectAt = new Map<string, number>();
  for (const { marks, atMs } of simulator.world.books.effects)
    for (const mark of marks) if (!tookEffectAt.has(mark)) tookEffectAt.set(mark, atMs);
  const tickets: Effects['tickets'] = [];
  const updates: Effects['updates'] = [];
  for (const [commandId, { command, dueMs, interaction }] of due) {
    const atMs = tookEffectAt.get(commandId) ?? null;
    if (command.type === 'ensureTicket') tickets.push({ interaction, dueMs, atMs });
    else updates.push({ dueMs, atMs });
  }
  return { tickets, updates, callsUsedOnDay: ownCallsOnDay(simulator.world.books.windows), callsUsed: 0 };
}

function serviceOf({ tickets, updates, callsUsedOnDay }: Effects, endMs: number): Service {
  const delayOf = ({ dueMs, atMs }: { readonly dueMs: number; readonly atMs: number | null }): number =>
    Math.max(0, (atMs ?? endMs) - dueMs);
  const isThere = ({ atMs }: { readonly atMs: number | null }): boolean => atMs !== null;
  const delays = sorted(tickets.map(delayOf));
  const taken = tickets.filter(({ interaction }) => !interaction.isAbandoned);
  return {
    p50DelayMs: quantile(delays, 0.5),
    p99DelayMs: quantile(delays, 0.99),
    updateP99DelayMs: quantile(sorted(updates.map(delayOf)), 0.99),
    ticketedSameDay: share(tickets, ({ dueMs, atMs }) => atMs !== null && dayOf(atMs) === dayOf(dueMs)),
    ticketedBeforeEnd: share(taken, ({ interaction, atMs }) => atMs !== null && atMs <= interaction.endsAtMs),
    callsUsed: callsUsedOnDay,
    unfinished: {
      tickets: tickets.length - tickets.filter(isThere).length,
      updates: updates.length - updates.filter(isThere).length,
    },
  };
}

const dayOf = (atMs: number): number => Math.floor(atMs / DAY_MS);

function sorted(values: readonly number[]): number[] {
  return values.toSorted((a, b) => a - b);
}

/** The value below which that part of all lies (nearest rank), whole ms; 0 of none. */
function quantile(ascending: readonly number[], part: number): number {
  return Math.round(ascending[Math.max(0, Math.ceil(ascending.length * part) - 1)] ?? 0);
}

function share<T>(all: readonly T[], isSo: (one: T) => boolean): number {
  return all.length === 0 ? 1 : Math.round((all.filter(isSo).length / all.length) * 10_000) / 10_000;
}

type Windows = World['simulator']['world']['books']['windows'];

/** Calls of ours that the account's minutes of the day counted. */
function ownCallsOnDay(windows: Windows): number {
  let calls = 0;
  for (const { startMs, callers } of windows.get('account-minute')?.values() ?? [])
    if (dayOf(startMs) === dayOf(DAY_STARTS_MS)) calls += callers.get(OWN_CALLER)?.calls ?? 0;
  return calls;
}

function callsByHour({ simulator }: World): number[] {
  const hours: number[] = Array.from({ length: 24 }, () => 0);
  for (const { startMs, callers } of simulator.world.books.windows.get('account-minute')?.values() ?? []) {
    const hour = Math.floor((startMs - DAY_STARTS_MS) / 3_600_000);
    if (hour >= 0 && hour < 24) hours[hour]! += callers.get(OWN_CALLER)?.calls ?? 0;
  }
  return hours;
}

/** 429s to our calls, by what had filled the window that refused them. Limits counted by ticket or user count as our own. */
function refusalsIn({ simulator }: World): Pick<Measures, 'refused429Own' | 'refused429Foreign' | 'refused429Changed'> {
  const { books } = simulator.world;
  let foreign = 0;
  let changed = 0;
  for (const windows of books.windows.values())
    for (const { callers, highestMax, lowestMax } of windows.values()) {
      const refused = [...callers].reduce(
        (sum, [caller, count]) => sum + (caller === FOREIGN_CALLER ? 0 : count.refused),
        0,
      );
      if (refused === 0) continue;
      if (highestMax !== lowestMax) changed += refused;
      else if ((callers.get(FOREIGN_CALLER)?.calls ?? 0) > 0) foreign += refused;
    }
  const all = [...books.callers].reduce(
    (sum, [caller, totals]) => sum + (caller === FOREIGN_CALLER ? 0 : totals.refusedByLimit),
    0,
  );
  return { refused429Own: all - foreign - changed, refused429Foreign: foreign, refused429Changed: changed };
}

/** The simulator's own verdict, with the order in which everything had to take effect. */
function auditOf({ simulator, due, time }: World): Pick<Measures, 'doubled' | 'outOfOrder' | 'limitsExceeded'> {
  const order: Record<string, string[]> = {};
  const inOrder = [...due.values()].sort(
    (a, b) =>
      Number(b.command.type === 'ensureTicket') - Number(a.command.type === 'ensureTicket') ||
      a.command.data.eventAt - b.command.data.eventAt ||
      a.command.data.eventRank - b.command.data.eventRank ||
      a.command.data.ordinal - b.command.data.ordinal,
  );
  for (const { command } of inOrder) (order[command.data.interactionId] ??= []).push(command.id);
  const ask = (method: string, path: string, body: JsonObject): JsonObject =>
    simulator.control({ method, path, body }, time.nowMs).body as JsonObject;
  ask('PUT', '/expect', { order, complete: false });
  const audit = ask('GET', '/audit', {});
  const countOf = (name: string): number => (audit[name] as { readonly count: number }).count;
  return { doubled: countOf('doubled'), outOfOrder: countOf('order'), limitsExceeded: countOf('exceeded') };
}

function ticketsOf({ simulator, config }: World, interactionId: PlannedInteraction['interactionId']): number {
  return simulator.world.ticketIdsByExternalId.get(`${config.crm.externalIdPrefix}${interactionId}`)?.length ?? 0;
}
