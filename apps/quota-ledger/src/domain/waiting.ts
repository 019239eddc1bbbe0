import { type AcquireRequest, type CallKind, type IntegrationName, PRIORITIES, type Priority } from '#contracts';
import type { Blocked } from './fit.js';
import type { Served } from './give-grant.js';

/*
 * Who waits, and whose turn it is: priority first (live, normal, backlog), then weighted fair among integrations, then
 * order of arrival.
 *
 * Fair by start-time fair queueing: each integration has a virtual time per priority, which goes on by calls ÷ weight as it
 * is granted calls, and the one least far on is next. Who begins to wait starts no earlier than the last one served did, so
 * that nobody saves up turns by not asking.
 */

/** A request in the queue. */
export interface Waiter {
  readonly integration: IntegrationName;
  readonly request: AcquireRequest;
  /** Order of arrival. */
  readonly number: number;
  /** Epoch ms; what isn't granted by then is refused. */
  readonly deadline: number;
  /** What was in its way when it was last tried. */
  blocked: Blocked | null;
  /** It was something that nobody else's waiting would help: its cap, its ticket, a pause. */
  stoppedByOwn: boolean;
}

/** What waits of one integration with one priority. Kinds apart, as calls of a kind draw on the same limits. */
export interface Flow {
  readonly integration: IntegrationName;
  virtualTime: number;
  requests: number;
  readonly byKind: Map<CallKind, Waiter[]>;
}

/** What waits with one priority. */
export interface Line {
  readonly priority: Priority;
  /** Where the last one served began. */
  virtualTime: number;
  requests: number;
  readonly flows: Map<IntegrationName, Flow>;
}

export interface WaitingRequests {
  /** In order of priority. */
  readonly lines: readonly Line[];
  /** By integration and request id. */
  readonly byRequest: Map<string, Waiter>;
  arrived: number;
  /** No request has to be refused before this instant. */
  firstDeadline: number;
  /** Nothing that was in the way of those tried last is over before this instant, unless something else changes. */
  wakeAt: number;
  /** Answers of requests that waited, not yet handed out. */
  answered: Served[];
}

/** Most requests that wait at once; the next is answered without waiting. */
export const MAX_WAITING_REQUESTS = 10_000;

const NEVER = Number.MAX_SAFE_INTEGER;

export function nobodyWaits(): WaitingRequests {
  const lines = PRIORITIES.map((priority) => ({ priority, virtualTime: 0, requests: 0, flows: new Map() }));
  return { lines, byRequest: new Map(), arrived: 0, firstDeadline: NEVER, wakeAt: NEVER, answered: [] };
}

/** Enters a request at the end of its flow. */
export function enqueue(
  waiting: WaitingRequests,
  integration: IntegrationName,
  request: AcquireRequest,
  deadline: number,
): Waiter {
  waiting.arrived += 1;
  const waiter: Waiter = {
    integration,
    request,
    number: waiting.arrived,
    deadline,
    blocked: null,
    stoppedByOwn: false,
  };
  const line = lineOf(waiting, request.priority);
  let flow = line.flows.get(integration);
  if (!flow) {
    flow = { integration, virtualTime: 0, requests: 0, byKind: new Map() };
    line.flows.set(integration, flow);
  }
  if (flow.requests === 0) flow.virtualTime = Math.max(flow.virtualTime, line.virtualTime);
  const queue = flow.byKind.get(request.kind);
  if (queue) queue.push(waiter);
  else flow.byKind.set(request.kind, [waiter]);
  flow.requests += 1;
  line.requests += 1;
  waiting.byRequest.set(waiterKey(integration, request.requestId), waiter);
  waiting.firstDeadline = Math.min(waiting.firstDeadline, deadline);
  return waiter;
}

/** Takes a request out. */
export function dequeue(waiting: WaitingRequests, waiter: Waiter): void {
  const { integration, request } = waiter;
  const line = lineOf(waiting, request.priority);
  const flow = line.flows.get(integration)!;
  const queue = flow.byKind.get(request.kind)!;
  queue.splice(queue.indexOf(waiter), 1);
  if (queue.length === 0) flow.byKind.delete(request.kind);
  flow.requests -= 1;
  line.requests -= 1;
  waiting.byRequest.delete(waiterKey(integration, request.requestId));
}

/** The request that waits, by who asked and its id. */
export function waiterOf(waiting: WaitingRequests, integration: IntegrationName, requestId: string): Waiter | null {
  return waiting.byRequest.get(waiterKey(integration, requestId)) ?? null;
}

/** Notes that a flow was granted calls: its virtual time goes on. */
export function served(line: Line, flow: Flow, calls: number, weight: number): void {
  line.virtualTime = Math.max(line.virtualTime, flow.virtualTime);
  flow.virtualTime += calls / weight;
}

/** The line of a priority. */
export function lineOf(waiting: WaitingRequests, priority: Priority): Line {
  return waiting.lines[PRIORITIES.indexOf(priority)]!;
}

function waiterKey(integration: IntegrationName, requestId: string): string {
  return `${integration} ${requestId}`;
}
