/* The verdict of the books: was any limit exceeded, anything doubled, any order broken, anything expected missing. */
import { isoOf } from './calendar.js';
import type { MarkedEffect, WindowEntry } from './books.js';
import type { Json, JsonObject } from './json.js';
import type { ForeignTraffic } from './options.js';
import { digitsOf } from './user-index.js';
import type { World } from './world.js';

const LISTED_LIMIT_ITEMS = 100;

/** What a tester knows must have happened. */
export interface Expectation {
  /** Per interaction, all its marks in the order in which they must take effect. */
  readonly order: Readonly<Record<string, readonly string[]>>;
  /** Whether marks and interactions that are expected but absent are a fault. */
  readonly complete: boolean;
}

/** Everything the books hold, as numbers. */
export function booksOf(world: World): JsonObject {
  const { books } = world;
  return {
    nowMs: world.nowMs,
    now: isoOf(world.nowMs),
    calls: sum([...books.callers.values()].map(({ calls }) => calls)),
    callers: Object.fromEntries(
      [...books.callers].map(([caller, totals]) => [caller, { ...totals, foreign: isForeign(world, caller) }]),
    ),
    statuses: Object.fromEntries(books.statuses),
    kinds: Object.fromEntries(books.kinds),
    windows: Object.fromEntries(
      [...books.windows].map(([limit, windows]) => [limit, [...windows.values()].map(windowOnTheWire)]),
    ),
    windowsDropped: books.windowsDropped,
    refusals: refusalsOf(world),
    tickets: world.ticketIds.length,
    ticketsPerExternalId: Object.fromEntries([...world.ticketIdsByExternalId].map(([id, ids]) => [id, ids.length])),
    users: world.users.size,
    contactsPerPhone: Object.fromEntries(contactsPerPhone(world).map(({ phone, userIds }) => [phone, userIds.length])),
    marks: Object.fromEntries([...marksOf(world)].map(([mark, effects]) => [mark, effects.length])),
    triggersFired: Object.fromEntries(books.triggersFired),
    screenPops: books.screenPops.map((pop) => ({ ...pop })),
  };
}

/** The verdict; `ok` is true only when nothing at all is wrong. */
export function auditOf(world: World, expected: Expectation | undefined): JsonObject {
  const { exceeded, shared } = exceededWindows(world);
  const scoped = world.books.violations.map((violation) => ({ ...violation }));
  const refusals = refusalsOf(world);
  const externalIds = doubledExternalIds(world);
  const marks = [...marksOf(world)].filter(([, effects]) => effects.length > 1);
  const contacts = contactsPerPhone(world).filter(({ userIds }) => userIds.length > 1);
  const interactions = scatteredInteractions(world);
  const { broken, missing } = expected ? judgeOrder(world, expected) : { broken: [], missing: [] };
  const doubled = externalIds.length + marks.length + contacts.length + interactions.length;
  const ok =
    exceeded.length + scoped.length + doubled + broken.length === 0 &&
    refusals.ours === 0 &&
    (missing.length === 0 || expected?.complete === false);
  return {
    ok,
    exceeded: {
      count: exceeded.length + scoped.length,
      windows: first(exceeded),
      scoped: first(scoped),
      shared: first(shared),
    },
    refusals,
    doubled: {
      count: doubled,
      externalIds: first(externalIds),
      marks: first(
        marks.map(([mark, effects]) => ({
          mark,
          times: effects.length,
          ticketIds: effects.map(({ ticketId }) => ticketId),
        })),
      ),
      contacts: first(contacts),
      interactions: first(interactions),
    },
    order: { count: broken.length, broken: first(broken) },
    missing: { count: missing.length, marks: first(missing) },
    judged: {
      windows: windowsJudged(world),
      effects: world.books.effects.length,
      callsDropped: world.books.callsDropped,
    },
  };
}

/** The marks of commands in the order in which they took effect. */
export function effectsOf(world: World, interaction: string | undefined): Json[] {
  return world.books.effects
    .filter((effect) => interaction === undefined || effect.interaction === interaction)
    .map(({ marks, interaction: of, ticketId, auditId, atMs }) => ({
      marks,
      interaction: of ?? null,
      ticketId,
      auditId,
      atMs,
    }));
}

/** Whether a caller is somebody else. */
export function isForeign(world: World, caller: string): boolean {
  const { foreign, foreignCallers } = world.options;
  return (
    foreignCallers.includes(caller) ||
    foreign.some((stream: ForeignTraffic) => stream.caller === caller) ||
    caller.startsWith('(')
  );
}

/**
 * Windows with more calls let through than allowed: `exceeded` where our calls alone were more, `shared` where they
 * were more only together with those of others (whom a lagging counter may let through after us).
 */
function exceededWindows(world: World): { exceeded: JsonObject[]; shared: JsonObject[] } {
  const exceeded: JsonObject[] = [];
  const shared: JsonObject[] = [];
  for (const [limit, windows] of world.books.windows)
    for (const window of windows.values()) {
      let ours = 0;
      let foreign = 0;
      for (const [caller, { calls }] of window.callers) {
        if (isForeign(world, caller)) foreign += calls;
        else ours += calls;
      }
      if (ours + foreign <= window.highestMax || ours === 0) continue;
      (ours > window.highestMax ? exceeded : shared).push({ limit, ours, foreign, ...windowOnTheWire(window) });
    }
  return { exceeded, shared };
}

function windowsJudged(world: World): number {
  return sum([...world.books.windows.values()].map((windows) => windows.size));
}

function refusalsOf(world: World): { ours: number; foreign: number; injected: number; perLimit: JsonObject } {
  let ours = 0;
  let foreign = 0;
  let injected = 0;
  for (const [caller, totals] of world.books.callers) {
    injected += totals.refusedByFault;
    if (isForeign(world, caller)) foreign += totals.refusedByLimit;
    else ours += totals.refusedByLimit;
  }
  const perLimit = Object.fromEntries(world.books.refusedPerLimit);
  return { ours, foreign, injected, perLimit };
}

/** Tickets that share an external_id; a follow-up of a closed ticket is not a double of it. */
function doubledExternalIds(world: World): JsonObject[] {
  const doubled: JsonObject[] = [];
  for (const [externalId, ids] of world.ticketIdsByExternalId) {
    const originals = ids.filter((id) => world.tickets.get(id)?.followsTicketId === undefined);
    if (originals.length > 1) doubled.push({ externalId, ticketIds: originals });
  }
  return doubled;
}

/** Users by phone; spellings of one number are one phone, shown as digits with the first one's `+`. */
function contactsPerPhone(world: World): { phone: string; userIds: number[] }[] {
  const contacts = new Map<string, { phone: string; userIds: number[] }>();
  for (const { id, phone } of world.users.values()) {
    if (phone === undefined) continue;
    const digits = digitsOf(phone);
    const contact = contacts.get(digits);
    if (contact) contact.userIds.push(id);
    else contacts.set(digits, { phone: phone.startsWith('+') ? `+${digits}` : digits, userIds: [id] });
  }
  return [...contacts.values()];
}

function marksOf(world: World): Map<string, MarkedEffect[]> {
  const marks = new Map<string, MarkedEffect[]>();
  for (const effect of world.books.effects)
    for (const mark of effect.marks) {
      const effects = marks.get(mark);
      if (effects) effects.push(effect);
      else marks.set(mark, [effect]);
    }
  return marks;
}

/** Interactions whose marks stand in more than one ticket, follow-ups apart. */
function scatteredInteractions(world: World): JsonObject[] {
  const tickets = new Map<string, Set<number>>();
  for (const { interaction, ticketId } of world.books.effects) {
    if (interaction === undefined || world.tickets.get(ticketId)?.followsTicketId !== undefined) continue;
    const ids = tickets.get(interaction);
    if (ids) ids.add(ticketId);
    else tickets.set(interaction, new Set([ticketId]));
  }
  return [...tickets]
    .filter(([, ids]) => ids.size > 1)
    .map(([interaction, ids]) => ({ interaction, ticketIds: [...ids] }));
}

/** Marks took effect in the expected order where each appears after all that stand before it; its first effect counts. */
function judgeOrder(world: World, expected: Expectation): { broken: JsonObject[]; missing: JsonObject[] } {
  const positions = new Map<string, number>();
  for (const { marks } of world.books.effects)
    for (const mark of marks) if (!positions.has(mark)) positions.set(mark, positions.size);
  const broken: JsonObject[] = [];
  const missing: JsonObject[] = [];
  for (const [interaction, marks] of Object.entries(expected.order)) {
    let latest = -1;
    let latestMark = '';
    for (const mark of marks) {
      const position = positions.get(mark);
      if (position === undefined) {
        missing.push({ interaction, mark });
        continue;
      }
      if (position < latest) broken.push({ interaction, mark, tookEffectBefore: latestMark });
      else {
        latest = position;
        latestMark = mark;
      }
    }
  }
  return { broken, missing };
}

function windowOnTheWire(window: WindowEntry): JsonObject {
  return {
    start: isoOf(window.startMs),
    startMs: window.startMs,
    endMs: window.endMs,
    highestMax: window.highestMax,
    lowestMax: window.lowestMax,
    callers: Object.fromEntries([...window.callers].map(([caller, count]) => [caller, { ...count }])),
  };
}

function first<T>(items: readonly T[]): T[] {
  return items.slice(0, LISTED_LIMIT_ITEMS);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
