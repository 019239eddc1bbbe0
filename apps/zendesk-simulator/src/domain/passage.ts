import type { CallEntry } from './books.js';
import { type Call, queryOf } from './call.js';
import { callerOf, type Identity, identityOf } from './credentials.js';
import type { Exchange, SimulatorRequest } from './exchange.js';
import { decidesFate, type Fault, type FaultEffect, faultsFor } from './faults.js';
import type { Draw } from './limits.js';
import { type Route, routeOf, unknownQueryOf } from './routes.js';
import type { World } from './world.js';

const API_PREFIX = '/api/v2/';
const NONE: readonly never[] = [];

/** How a request fares, worked out step by step. */
export interface Passage {
  readonly call: Call;
  readonly route: Route | undefined;
  readonly identity: Identity;
  readonly exchange: Exchange;
  readonly faults: readonly Fault[];
  readonly fate: FaultEffect | undefined;
  readonly entry: CallEntry;
  draws: readonly Draw[];
}

/** Reads a request: which call it is, whose, and which faults befall it. */
export function understand(request: SimulatorRequest, world: World, exchange: Exchange): Passage {
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
      ? NONE
      : faultsFor(world.faults, subject, { nowMs: world.nowMs, random: world.random });
  const fate = faults.find(({ effect }) => decidesFate(effect))?.effect;
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
    faults: faults.length === 0 ? NONE : faults.map(({ id }) => id),
    bodyBytes: request.bodyBytes ?? request.body?.length ?? 0,
    counted: false,
  };
  return { call, route, identity, exchange, faults, fate, entry, draws: [] };
}

function pathOf(url: string): string {
  const end = url.indexOf('?');
  const path = end < 0 ? url : url.slice(0, end);
  const start = path.startsWith(API_PREFIX) ? API_PREFIX.length : 1;
  return path.slice(start, path.endsWith('.json') ? -5 : undefined);
}
