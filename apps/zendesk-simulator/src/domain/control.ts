/*
 * The control door: what a tester may ask of and do to the simulated account. It is no part of Zendesk, its requests
 * are no calls and stand in no books.
 */
import { auditOf, booksOf, effectsOf, type Expectation } from './audit.js';
import { clearBooks, countInWindow, writeCall } from './books.js';
import { isoOf } from './calendar.js';
import { faultOrderOf, Refused } from './fault-orders.js';
import { addFault, FAULTS_LIMIT } from './faults.js';
import { changedOptions } from './option-changes.js';
import { startForeign } from './foreign.js';
import { chaosOf } from './chaos.js';
import { advance } from './handle.js';
import { jobsInFlight } from './jobs.js';
import { type Json, type JsonObject, listOf, objectOf, textOf, wholeNumberOf } from './json.js';
import { changeRules, drawForeign, windowAt } from './limits.js';
import { type Credential, type ForeignTraffic, licenceOf } from './options.js';
import { auditOnTheWire, ticketObject, ticketOnTheWire } from './ticket-answers.js';
import { updateTicket } from './tickets.js';
import { actorOf } from './credentials.js';
import { newWorld, type World } from './world.js';

const CALLS_SHOWN_LIMIT = 10_000;
const CALLS_SHOWN_DEFAULT = 100;

/** One request to the control door. `path` begins after `/_control`: ``, `/calls`, `/faults/fault-1`… */
export interface ControlRequest {
  readonly method: string;
  readonly path: string;
  readonly query?: URLSearchParams;
  readonly body?: Json;
}

/** What the control door says. */
export interface ControlAnswer {
  readonly status: number;
  readonly body: Json;
}

/** What the control door works on: the world may be replaced by a new one. */
export interface Controlled {
  world: World;
  expectation: Expectation | undefined;
  /** Added to the time handed in. */
  advancedMs: number;
}

interface Ask {
  readonly state: Controlled;
  readonly body: JsonObject;
  readonly list: readonly Json[] | undefined;
  readonly query: URLSearchParams;
  readonly id: string | undefined;
}

/** Serves a request to the control door. */
export function control(state: Controlled, request: ControlRequest): ControlAnswer {
  const [, name = '', id] = request.path.split('/');
  const method = request.method.toUpperCase();
  const action = ACTIONS[`${method} /${name}${id === undefined ? '' : '/:id'}`];
  if (!action) return { status: 404, body: { error: 'unknown control request', known: Object.keys(ACTIONS) } };
  const query = request.query ?? new URLSearchParams();
  try {
    const ask = { state, body: objectOf(request.body) ?? {}, list: listOf(request.body), query, id };
    return { status: 200, body: action(ask) };
  } catch (error) {
    if (error instanceof Refused) return { status: 400, body: { error: error.message } };
    throw error;
  }
}

const ACTIONS: Readonly<Record<string, (ask: Ask) => Json>> = {
  'GET /': ({ state }) => summaryOf(state),
  'GET /calls': showCalls,
  'DELETE /calls': ({ state }) => {
    clearBooks(state.world.books);
    return { cleared: true };
  },
  'POST /reset': reset,
  'GET /options': ({ state }) => optionsOf(state.world),
  'PATCH /options': changeOptions,
  'PUT /limits': changeLimits,
  'GET /limits': ({ state }) => limitsOf(state.world),
  'GET /faults': ({ state }) => faultsOf(state.world),
  'POST /faults': orderFaults,
  'DELETE /faults': ({ state }) => {
    state.world.faults.inForce.length = 0;
    state.world.faults.outage = undefined;
    return faultsOf(state.world);
  },
  'DELETE /faults/:id': ({ state, id }) => {
    const { inForce } = state.world.faults;
    const at = inForce.findIndex((fault) => fault.id === id);
    if (at < 0) throw new Refused(`no fault ${id ?? ''}`);
    inForce.splice(at, 1);
    return faultsOf(state.world);
  },
  'PUT /chaos': setChaos,
  'PUT /outage': setOutage,
  'DELETE /outage': ({ state }) => {
    state.world.faults.outage = undefined;
    return summaryOf(state);
  },
  'POST /advance': advanceTime,
  'PUT /foreign': setForeign,
  'PUT /credentials': setCredentials,
  'POST /ui-edit': editByHand,
  'GET /books': ({ state }) => booksOf(state.world),
  'GET /audit': ({ state }) => auditOf(state.world, state.expectation),
  'PUT /expect': setExpectation,
  'GET /effects': ({ state, query }) => effectsOf(state.world, query.get('interaction') ?? undefined),
  'GET /tickets': showTickets,
};

/** All options, credentials without their secrets. */
function optionsOf({ options }: World): JsonObject {
  const credentials = options.credentials.map(({ kind, forbids = [] }) => ({ kind, forbids }));
  return { ...(options as unknown as JsonObject), credentials };
}

function summaryOf({ world, advancedMs, expectation }: Controlled): JsonObject {
  const { options, faults } = world;
  return {
    now: isoOf(world.nowMs),
    nowMs: world.nowMs,
    advancedMs,
    licence: licenceOf(options) as unknown as JsonObject,
    limitPerDay: options.limitPerDay,
    dayTimeZone: options.dayTimeZone,
    tickets: world.ticketIds.length,
    users: world.users.size,
    jobsInFlight: jobsInFlight(world).map(({ id }) => id),
    faults: faults.inForce.length,
    outage: faults.outage ? { ...faults.outage } : null,
    expectations: expectation ? Object.keys(expectation.order).length : 0,
  };
}

function showCalls({ state, query }: Ask): Json {
  const limit = Math.min(Number(query.get('limit') ?? CALLS_SHOWN_DEFAULT) || CALLS_SHOWN_DEFAULT, CALLS_SHOWN_LIMIT);
  const afterId = Number(query.get('after') ?? 0) || 0;
  const caller = query.get('caller');
  const kind = query.get('kind');
  const { books } = state.world;
  const calls = books.calls.filter(
    (entry) =>
      entry.id > afterId && (caller === null || entry.caller === caller) && (kind === null || entry.kind === kind),
  );
  const shown = query.has('after') ? calls.slice(0, limit) : calls.slice(-limit);
  return { total: calls.length, dropped: books.callsDropped, calls: shown as unknown as Json[] };
}

/** Everything is forgotten: tickets, users, jobs, books, faults. Options stay, unless new ones are given. */
function reset(ask: Ask): Json {
  const { state } = ask;
  state.world = newWorld(changedOptions(state.world.options, ask.body), state.world.nowMs);
  state.expectation = undefined;
  startForeign(state.world);
  return summaryOf(state);
}

function changeOptions({ state, body }: Ask): Json {
  const { world } = state;
  const zoneBefore = world.options.dayTimeZone;
  world.options = changedOptions(world.options, body);
  if (world.options.dayTimeZone !== zoneBefore) world.limits.counters.delete('account-day');
  world.identities.clear();
  changeRules(world.limits, world.options);
  if (body['foreign'] !== undefined) startForeign(world);
  return optionsOf(world);
}

/** `{licence?, perMinute?, perDay?, dayTimeZone?, highVolume?, sandbox?, endpoints?: {name: max | null}}`; at once. */
function changeLimits(ask: Ask): Json {
  const names: Record<string, string> = {
    perMinute: 'limitPerMinute',
    perDay: 'limitPerDay',
    endpoints: 'endpointLimits',
  };
  const changes: Record<string, Json | undefined> = {};
  for (const [name, value] of Object.entries(ask.body)) changes[names[name] ?? name] = value;
  if (changes['licence'] !== undefined && changes['limitPerMinute'] === undefined) changes['limitPerMinute'] = null;
  const { world } = ask.state;
  if (changes['endpointLimits'] !== undefined)
    changes['endpointLimits'] = { ...world.options.endpointLimits, ...objectOf(changes['endpointLimits']) };
  changeOptions({ ...ask, body: changes });
  return limitsOf(world);
}

function limitsOf(world: World): Json {
  return world.limits.rules.map((rule) => ({
    name: rule.name,
    windowMs: rule.windowMs,
    max: rule.max,
    scope: rule.scope,
    kinds: rule.kinds === 'all' ? 'all' : [...rule.kinds],
  }));
}

function faultsOf(world: World): Json {
  const { inForce, outage } = world.faults;
  return { faults: inForce as unknown as Json[], outage: outage ? { ...outage } : null };
}

function orderFaults({ state, body, list }: Ask): Json {
  const orders = (list ?? [body]).map((item) => faultOrderOf(objectOf(item) ?? {}));
  const { faults, nowMs } = state.world;
  if (faults.inForce.length + orders.length > FAULTS_LIMIT) throw new Refused(`at most ${FAULTS_LIMIT} faults`);
  return { faults: orders.map((order) => addFault(faults, order, nowMs)) as unknown as Json[] };
}

/** `{share}`: every kind of fault befalls that share of the calls it can befall; 0 ends it. Other faults stay. */
function setChaos({ state, body }: Ask): Json {
  const { share } = body;
  if (typeof share !== 'number' || share < 0 || share > 1) throw new Refused('share must be between 0 and 1');
  const { faults, nowMs } = state.world;
  faults.inForce.splice(0, faults.inForce.length, ...faults.inForce.filter(({ isChaos }) => !isChaos));
  if (share > 0) for (const order of chaosOf(share)) addFault(faults, order, nowMs);
  return faultsOf(state.world);
}

/** `{as?: status|reset|silence, status?: 503, retryAfterSeconds?, forMs?}` */
function setOutage({ state, body }: Ask): Json {
  const as = textOf(body['as']) ?? 'status';
  if (as !== 'status' && as !== 'reset' && as !== 'silence') throw new Refused('as must be status, reset or silence');
  const forMs = wholeNumberOf(body['forMs']);
  state.world.faults.outage = {
    as,
    status: wholeNumberOf(body['status']) ?? 503,
    retryAfterSeconds: wholeNumberOf(body['retryAfterSeconds']),
    untilMs: forMs === undefined ? null : state.world.nowMs + forMs,
  };
  return summaryOf(state);
}

function advanceTime({ state, body }: Ask): Json {
  const { ms } = body;
  if (typeof ms !== 'number' || ms < 0) throw new Refused('ms must be a number of milliseconds, not negative');
  state.advancedMs += ms;
  advance(state.world, state.world.nowMs + ms);
  return summaryOf(state);
}

/** `[{caller, callsPerMinute, kind}]`; an empty list ends all foreign traffic. */
function setForeign({ state, list }: Ask): Json {
  const foreign = (list ?? []).map((item): ForeignTraffic => {
    const stream = objectOf(item) ?? {};
    const { callsPerMinute } = stream;
    if (typeof callsPerMinute !== 'number') throw new Refused('callsPerMinute must be a number');
    return {
      caller: textOf(stream['caller']) ?? '(foreign)',
      callsPerMinute,
      kind: (textOf(stream['kind']) ?? 'other') as ForeignTraffic['kind'],
    };
  });
  const known = state.world.options.foreign.map(({ caller }) => caller);
  const foreignCallers = [...new Set([...state.world.options.foreignCallers, ...known])];
  state.world.options = { ...state.world.options, foreign, foreignCallers };
  startForeign(state.world);
  return { foreign: foreign as unknown as Json[] };
}

function setCredentials({ state, list }: Ask): Json {
  const credentials = (list ?? []).map((item) => {
    const { kind, value } = objectOf(item) ?? {};
    if ((kind !== 'basic' && kind !== 'bearer') || typeof value !== 'string')
      throw new Refused('kind and value are required');
    return item as unknown as Credential;
  });
  state.world.options = { ...state.world.options, credentials };
  state.world.identities.clear();
  return { credentials: credentials.length };
}

/** `{ticketId, change}`: an agent edits a ticket by hand. Costs no call, but draws on the limit of ticket updates. */
function editByHand({ state, body }: Ask): Json {
  const { world } = state;
  const ticket = world.tickets.get(wholeNumberOf(body['ticketId']) ?? -1);
  if (!ticket) throw new Refused('no such ticket');
  const actor = actorOf(world, 'agent-by-hand@demo.invalid');
  const rule = world.limits.rules.find(({ name }) => name === 'tickets-update');
  if (rule) {
    const refused = drawForeign(world.limits, world.options, { rule, nowMs: world.nowMs });
    const window = windowAt(rule, world.options, world.nowMs);
    countInWindow(world.books, rule, { ...window, caller: '(by hand)', units: 1, refused });
  }
  const hand = { world, actor, atMs: world.nowMs, ip: '127.0.0.1', client: 'browser' };
  const result = updateTicket(hand, ticket, objectOf(body['change']) ?? {});
  const status = result.ok ? 200 : 422;
  const entry = {
    id: world.nextExchangeId++,
    atMs: world.nowMs,
    caller: '(by hand)',
    method: '',
    url: '',
    kind: 'ui.update',
  } as const;
  writeCall(
    world.books,
    { ...entry, status, fate: 'answer', refusedBy: undefined, faults: [], bodyBytes: 0, counted: false },
    undefined,
  );
  if (!result.ok) throw new Refused(`the change is not valid: ${JSON.stringify(result)}`);
  return { ticket: ticketOnTheWire(world, ticket, world.options.origin) };
}

/** `{order: {interaction: [mark, …]}, complete?: true, add?: false}` */
function setExpectation({ state, body }: Ask): Json {
  const given = objectOf(body['order']) ?? {};
  const order: Record<string, readonly string[]> = body['add'] === true ? { ...state.expectation?.order } : {};
  for (const [interaction, marks] of Object.entries(given))
    order[interaction] = (listOf(marks) ?? []).flatMap((mark) => textOf(mark) ?? []);
  state.expectation = { order, complete: body['complete'] !== false };
  return { interactions: Object.keys(order).length };
}

/** Tickets with their audits, by `external_id` or `id`; without counting as calls. */
function showTickets({ state, query }: Ask): Json {
  const { world } = state;
  const externalId = query.get('external_id');
  const id = query.get('id');
  const ids =
    externalId !== null
      ? (world.ticketIdsByExternalId.get(externalId) ?? [])
      : id !== null
        ? [Number(id)]
        : world.ticketIds;
  const tickets = ids.slice(-CALLS_SHOWN_DEFAULT).flatMap((ticketId) => world.tickets.get(ticketId) ?? []);
  return {
    total: ids.length,
    tickets: tickets.map((ticket) => ({
      ...ticketObject(world, ticket, world.options.origin),
      audits: ticket.audits.map((audit) => auditOnTheWire(world, audit)),
    })),
  };
}
