/*
 * One request's way through the simulated Zendesk: (request, world, now) → (reply, world). Where time passes before it
 * arrives, takes effect or is answered, the world's schedule carries the rest.
 */
import { type RefusalCause, writeCall } from './books.js';
import type { Call } from './call.js';
import { charge } from './charge.js';
import { actorOf } from './credentials.js';
import { edgeRefusal, forbidden, invalidEndpoint, notAuthenticated, serverError } from './errors.js';
import { type Answer, type Exchange, JSON_TYPE, type Reply, type SimulatorRequest, TEXT_TYPE } from './exchange.js';
import { type FaultEffect, outageAt } from './faults.js';
import { headersOf } from './headers.js';
import { perform, rememberFailure } from './idempotency.js';
import { writtenOut } from './json.js';
import { jobFaultOf } from './jobs.js';
import { type Passage, understand } from './passage.js';
import type { Route } from './routes.js';
import type { World } from './world.js';

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
    const refusal = charge(passage);
    if (refusal) {
      rememberFailure(call, refusal);
      return finish(passage, refusal, 'limit');
    }
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
  const done = perform(passage.call, route, jobFaultOf(passage.faults));
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

/** A second creation for the same requester conflicts with the first while that is under way. */
function noteCreation(call: Call, untilMs: number): void {
  const { world, actor } = call;
  if (untilMs <= world.nowMs) return;
  const made = world.tickets.get(world.ticketIds.at(-1) ?? -1);
  if (made && made.requesterId !== actor?.id) world.creatingUntilMs.set(made.requesterId, untilMs);
}

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
