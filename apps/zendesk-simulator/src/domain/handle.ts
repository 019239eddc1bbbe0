/*
 * One request's way through the simulated Zendesk: (request, world, now) → (reply, world). Where time passes before it
 * arrives, takes effect or is answered, the world's schedule carries the rest.
 */
import { countInScope, countInWindow, type CallEntry, type RefusalCause, writeCall } from './books.js';
import { bodyOf, type Call, idAt, queryOf } from './call.js';
import { actorOf, callerOf, type Identity, identityOf } from './credentials.js';
import {
  accountLimitReached,
  dayLimitReached,
  edgeRefusal,
  endpointLimitReached,
  forbidden,
  idempotencyMismatch,
  invalidEndpoint,
  invalidValue,
  notAuthenticated,
  serverError,
} from './errors.js';
import type { Answer, Exchange, Reply, SimulatorRequest } from './exchange.js';
import { type Fault, type FaultEffect, faultsFor, outageAt } from './faults.js';
import { headersOf } from './headers.js';
import { objectOf, textOf, writtenOut } from './json.js';
import { type Draw, draw, type LimitSubject, scopeKeyOf, unitsOf, windowAt } from './limits.js';
import type { JobFault } from './jobs.js';
import { pageNumberOf } from './pagination.js';
import { fingerprintOf } from './random.js';
import { type Route, routeOf, unknownQueryOf } from './routes.js';
import type { World } from './world.js';

const API_PREFIX = '/api/v2/';
const KEY_LIMIT_CHARACTERS = 255;

/** How a request fares, worked out step by step. */
interface Passage {
  readonly call: Call;
  readonly route: Route | undefined;
  readonly identity: Identity;
  readonly exchange: Exchange;
  readonly faults: readonly Fault[];
  readonly fate: FaultEffect | undefined;
  readonly entry: CallEntry;
  draws: readonly Draw[];
}

/** Takes a request in at `nowMs`. Its reply may be collected at `exchange.readyAtMs`. */
export function handle(request: SimulatorRequest, world: World, nowMs: number): Exchange {
  advance(world, nowMs);
  const exchange: Exchange = {
    id: world.nextExchangeId++,
    submittedAtMs: world.nowMs,
    readyAtMs: world.nowMs,
    reply: undefined,
  };
  const passage = understand(request, world, exchange);
  const outage = outageAt(world.faults, world.nowMs);
  if (outage) {
    passage.entry.refusedBy = 'outage';
    if (outage.as !== 'status') return lose(passage, outage.as, false);
    return finish(passage, serverError(outage.status, outage.retryAfterSeconds, undefined), 'injected');
  }
  const { fate } = passage;
  if (fate?.type === 'late') {
    exchange.readyAtMs = world.nowMs + fate.arriveInMs;
    world.schedule.at(exchange.readyAtMs, () => arrive(passage));
    return exchange;
  }
  if ((fate?.type === 'silence' || fate?.type === 'reset') && fate.when === 'before')
    return lose(passage, fate.type, false);
  return arrive(passage);
}

/** Lets the world's time pass: what was scheduled up to `nowMs` happens, in order. Time never runs backwards. */
export function advance(world: World, nowMs: number): void {
  while (world.schedule.nextAtMs() <= nowMs) {
    world.nowMs = Math.max(world.nowMs, world.schedule.nextAtMs());
    world.schedule.runNext();
  }
  world.nowMs = Math.max(world.nowMs, nowMs);
}

function understand(request: SimulatorRequest, world: World, exchange: Exchange): Passage {
  const method = request.method.toUpperCase();
  const path = pathOf(request.url);
  const segments = path.split('/');
  const query = queryOf(request.url);
  const route = request.url.startsWith(API_PREFIX) ? routeOf(method, segments) : undefined;
  const identity = identityOf(world, request.headers['authorization']);
  const caller = callerOf(identity, request.headers);
  const kind = route?.kind ?? 'other';
  const call: Call = {
    world,
    request,
    method,
    path,
    segments,
    query,
    kind,
    caller,
    origin: request.origin ?? world.options.origin,
    ip: request.ip ?? '127.0.0.1',
    actor: undefined,
    unknownParameters: route ? unknownQueryOf(route, query) : [],
    parsedBody: undefined,
  };
  const subject = { method, path, kind, caller, body: request.body };
  const faults =
    world.faults.inForce.length === 0
      ? []
      : faultsFor(world.faults, subject, { nowMs: world.nowMs, random: world.random });
  const fate = faults.find(({ effect }) => !['headers', 'clock', 'job'].includes(effect.type))?.effect;
  const entry: CallEntry = {
    id: exchange.id,
    atMs: world.nowMs,
    caller,
    method,
    url: request.url,
    kind,
    status: 0,
    fate: 'answer',
    refusedBy: undefined,
    faults: faults.map(({ id }) => id),
    bodyBytes: request.bodyBytes ?? request.body?.length ?? 0,
    counted: false,
  };
  return { call, route, identity, exchange, faults, fate, entry, draws: [] };
}

/** The request reaches Zendesk: it is let in or refused, and costs a call. */
function arrive(passage: Passage): Exchange {
  const { call, route, identity, fate } = passage;
  const { world } = call;
  if (fate?.type === 'edge429') {
    passage.entry.refusedBy = 'edge';
    return finish(passage, edgeRefusal(fate.retryAfterSeconds), 'injected');
  }
  const isIn = identity.accepted;
  if (isIn) call.actor = actorOf(world, identity.name);
  if (isIn || world.options.open.unauthenticatedCounts) {
    const refusal = count(passage);
    if (refusal) return finish(passage, refusal, 'limit');
  }
  if (!isIn && !route?.anonymous) return finish(passage, notAuthenticated());
  if (!route) return finish(passage, invalidEndpoint());
  if (identity.credential?.forbids?.includes(route.kind)) return finish(passage, forbidden());
  if (fate?.type === 'status' && fate.when === 'before') {
    const failure = serverError(fate.status, fate.retryAfterSeconds, fate.text);
    rememberFailure(call, failure);
    return finish(passage, failure, 'injected');
  }
  const effectInMs = effectDelayMs(fate);
  if (effectInMs === 0) return takeEffect(passage, route);
  passage.exchange.readyAtMs = world.nowMs + effectInMs;
  world.schedule.at(passage.exchange.readyAtMs, () => takeEffect(passage, route));
  if (fate?.type === 'silence' || fate?.type === 'reset') lose(passage, fate.type, true);
  return passage.exchange;
}

function effectDelayMs(fate: FaultEffect | undefined): number {
  if (fate?.type === 'silence' || fate?.type === 'reset') return fate.effectInMs ?? 0;
  return fate?.type === 'slow' && fate.when === 'before' ? fate.delayMs : 0;
}

/** The call does what it does; then comes the answer, or whatever a fault makes of it. */
function takeEffect(passage: Passage, route: Route): Exchange {
  const { call, fate } = passage;
  const done = perform(passage, route);
  if (fate?.type === 'status')
    return finish(passage, serverError(fate.status, fate.retryAfterSeconds, fate.text), 'injected');
  if (fate?.type === 'silence' || fate?.type === 'reset')
    return passage.exchange.reply ? passage.exchange : lose(passage, fate.type, true);
  finish(passage, done);
  if (fate?.type === 'slow' && fate.when === 'after') passage.exchange.readyAtMs += fate.delayMs;
  if (route.kind === 'tickets.create' && done.status === 201 && done.headers?.['x-idempotency-lookup'] !== 'hit')
    noteCreation(call, passage.exchange.readyAtMs);
  return passage.exchange;
}

/** Runs the call itself, with Idempotency-Key on `POST /tickets` and nowhere else. */
function perform(passage: Passage, route: Route): Answer {
  const { call, faults } = passage;
  const jobFault = faults.find((fault) => fault.effect.type === 'job')?.effect as JobFault | undefined;
  const key = route.kind === 'tickets.create' ? call.request.headers['idempotency-key'] : undefined;
  if (key === undefined) return route.handle(call, jobFault);
  if (key.length > KEY_LIMIT_CHARACTERS)
    return invalidValue(`Idempotency-Key cannot exceed ${KEY_LIMIT_CHARACTERS} characters`);
  const { world } = call;
  forgetOldAnswers(world);
  const scopedKey = `${call.actor?.id ?? 0}|${key}`;
  const fingerprint = fingerprintOf(call.request.body ?? '');
  const known = world.rememberedAnswers.get(scopedKey);
  if (known) {
    if (known.fingerprint !== fingerprint) return idempotencyMismatch();
    const headers = { ...known.headers, 'x-idempotency-lookup': 'hit' };
    return { status: known.status, body: null, text: known.body, headers };
  }
  const done = route.handle(call, jobFault);
  if (done.status < 300 || world.options.open.idempotencyKeeps !== 'success')
    remember(world, scopedKey, { fingerprint, done });
  return { ...done, headers: { ...done.headers, 'x-idempotency-lookup': 'miss' } };
}

function remember(world: World, key: string, of: { fingerprint: number; done: Answer }): void {
  world.rememberedAnswers.set(key, {
    fingerprint: of.fingerprint,
    expiresAtMs: world.nowMs + world.options.idempotencyLifeMs,
    status: of.done.status,
    body: of.done.text ?? writtenOut(of.done.body),
    headers: { ...of.done.headers, 'content-type': of.done.text === undefined ? JSON_TYPE : TEXT_TYPE },
  });
}

function forgetOldAnswers(world: World): void {
  for (const [key, { expiresAtMs }] of world.rememberedAnswers) {
    if (expiresAtMs > world.nowMs) return;
    world.rememberedAnswers.delete(key);
  }
}

/** Draws on every limit and writes it into the books of true windows; the refusal where one refuses. */
function count(passage: Passage): Answer | undefined {
  const { call, entry } = passage;
  const { world } = call;
  entry.counted = true;
  const subject = subjectOf(call);
  passage.draws = draw(world.limits, world.options, subject, world.nowMs);
  let refusal: Answer | undefined;
  for (const { rule, refused, resetsInSeconds } of passage.draws) {
    const { startMs, endMs } = windowAt(rule, world.options, world.nowMs);
    if (rule.scope === 'account') {
      const units = unitsOf(rule, subject, world.options);
      countInWindow(world.books, rule, { startMs, endMs, caller: call.caller, units, refused });
    } else if (rule.begins === 'wall-clock')
      countInScope(world.books, rule, { startMs, scope: scopeKeyOf(rule.scope, subject) });
    if (!refused) continue;
    entry.refusedBy = rule.name;
    refusal = refusalOf(rule.name, resetsInSeconds);
  }
  if (refusal) rememberFailure(call, refusal);
  return refusal;
}

/** Where keys keep everything, a refusal or failure is what they bring back from then on. */
function rememberFailure(call: Call, failure: Answer): void {
  if (call.world.options.open.idempotencyKeeps !== 'everything') return;
  const key = call.kind === 'tickets.create' ? call.request.headers['idempotency-key'] : undefined;
  if (key === undefined) return;
  const scopedKey = `${call.actor?.id ?? 0}|${key}`;
  if (call.world.rememberedAnswers.has(scopedKey)) return;
  remember(call.world, scopedKey, { fingerprint: fingerprintOf(call.request.body ?? ''), done: failure });
}

function refusalOf(limit: string, resetsInSeconds: number): Answer {
  if (limit === 'account-minute' || limit === 'account-ceiling') return accountLimitReached(resetsInSeconds);
  return limit === 'account-day' ? dayLimitReached(resetsInSeconds) : endpointLimitReached(resetsInSeconds);
}

function subjectOf(call: Call): LimitSubject {
  const isUserWrite = call.kind === 'users.update' || call.kind === 'users.create_or_update';
  const user = isUserWrite ? objectOf(bodyOf(call)?.['user']) : undefined;
  return {
    kind: call.kind,
    actorId: call.actor?.id ?? 0,
    ip: call.ip,
    ticketId: call.kind === 'tickets.update' ? idAt(call, 1) : undefined,
    targetUser: isUserWrite ? targetUserOf(call, user) : undefined,
    organizationId: call.kind === 'organizations.update' ? idAt(call, 1) : undefined,
    page: call.kind === 'tickets.list' ? pageNumberOf(call.query) : 1,
    tickets: call.kind === 'tickets.update_many' ? ticketsIn(call) : 1,
  };
}

function targetUserOf(call: Call, user: ReturnType<typeof objectOf>): string {
  if (call.kind === 'users.update') return `id:${idAt(call, 1)}`;
  const { userIdByExternalId, userIdByEmail } = call.world;
  const externalId = textOf(user?.['external_id']) ?? '';
  const email = textOf(user?.['email'])?.toLowerCase() ?? '';
  const id = userIdByExternalId.get(externalId) ?? userIdByEmail.get(email);
  return id === undefined ? `new:${externalId}|${email}` : `id:${id}`;
}

function ticketsIn(call: Call): number {
  const list = bodyOf(call)?.['tickets'];
  return Array.isArray(list) ? list.length : (call.query.get('ids') ?? '').split(',').filter(Boolean).length;
}

/** A second creation for the same requester conflicts with the first while that is under way. */
function noteCreation(call: Call, untilMs: number): void {
  const { world, actor } = call;
  if (untilMs <= world.nowMs) return;
  const made = world.tickets.get(world.ticketIds.at(-1) ?? -1);
  if (made && made.requesterId !== actor?.id) world.creatingUntilMs.set(made.requesterId, untilMs);
}

const JSON_TYPE = 'application/json; charset=utf-8';
const TEXT_TYPE = 'text/plain; charset=utf-8';

/** Writes the answer and the books. */
function finish(passage: Passage, given: Answer, cause?: RefusalCause): Exchange {
  const { call, exchange, entry, faults } = passage;
  const { world } = call;
  const tookMs = durationMs(passage, given.status);
  const body = given.text ?? writtenOut(given.body);
  const contentType = given.status === 204 ? undefined : given.text === undefined ? JSON_TYPE : TEXT_TYPE;
  const headers = headersOf({
    draws: passage.draws,
    options: world.options,
    faults,
    nowMs: world.nowMs,
    tookMs,
    id: exchange.id,
    contentType,
    own: given.headers,
    unknownParameters: call.unknownParameters,
  });
  exchange.reply = { kind: 'answer', status: given.status, headers, body };
  exchange.readyAtMs = world.nowMs + tookMs;
  entry.status = given.status;
  writeCall(world.books, entry, cause);
  return exchange;
}

/** No answer leaves. */
function lose(passage: Passage, how: 'reset' | 'silence', wasCounted: boolean): Exchange {
  const { exchange, entry, fate, call } = passage;
  const reply: Reply = { kind: how };
  exchange.reply = reply;
  const afterMs = fate?.type === 'reset' ? (fate.afterMs ?? 0) : 0;
  exchange.readyAtMs = call.world.nowMs + afterMs;
  entry.fate = how;
  entry.refusedBy ??= wasCounted ? undefined : 'fault';
  writeCall(call.world.books, entry, undefined);
  return exchange;
}

/** Refusals are quick; everything else takes about as long as that kind of call does. */
function durationMs({ call, route }: Passage, status: number): number {
  const scale = call.world.options.latencyScale;
  if (scale === 0) return 0;
  const typicalMs = status === 429 || status === 401 ? 20 : (route?.typicalMs ?? 50);
  return Math.round(typicalMs * scale * (0.7 + 0.6 * call.world.random.next()));
}

function pathOf(url: string): string {
  const end = url.indexOf('?');
  const path = end < 0 ? url : url.slice(0, end);
  const start = path.startsWith(API_PREFIX) ? API_PREFIX.length : 1;
  return path.slice(start, path.endsWith('.json') ? -5 : undefined);
}
