import type { OperationKind } from './operations.js';
import type { HeaderSpelling } from './options.js';
import type { Random } from './random.js';

/** Which calls a fault befalls; what is left out matches everything. */
export interface FaultMatch {
  readonly method?: string;
  /** Path without `/api/v2/` and `.json`; a trailing `*` matches any rest. */
  readonly path?: string;
  readonly kind?: OperationKind;
  readonly caller?: string;
  /** Only requests whose body contains this text. */
  readonly bodyContains?: string;
}

/** What goes wrong. Times are simulated milliseconds. */
export type FaultEffect =
  /** The caller never hears anything; `before`: nor does Zendesk do anything, `after`: it does, `effectInMs` later. */
  | { readonly type: 'silence'; readonly when: 'before' | 'after'; readonly effectInMs?: number }
  /** The connection breaks; `before` nothing is done, `after` it is done, `effectInMs` later. */
  | {
      readonly type: 'reset';
      readonly when: 'before' | 'after';
      readonly afterMs?: number;
      readonly effectInMs?: number;
    }
  /** An error answer, with or without the effect. */
  | {
      readonly type: 'status';
      readonly status: number;
      readonly when: 'before' | 'after';
      readonly retryAfterSeconds?: number;
      readonly text?: string;
    }
  /** The answer takes this much longer; `before`: the effect comes that late too. */
  | { readonly type: 'slow'; readonly delayMs: number; readonly when: 'before' | 'after' }
  /** The request is this long on its way: counted and acted upon only when it arrives. */
  | { readonly type: 'late'; readonly arriveInMs: number }
  /** Refused in front of Zendesk's application; draws on no limit. */
  | { readonly type: 'edge429'; readonly retryAfterSeconds?: number }
  /** The answer's headers are spelled otherwise, or missing. */
  | {
      readonly type: 'headers';
      readonly spelling?: HeaderSpelling;
      readonly case?: 'lower' | 'title';
      readonly drop?: readonly string[];
    }
  /** The `Date` header is off. */
  | { readonly type: 'clock'; readonly offsetMs: number }
  /** The bulk job that the call submits goes wrong. */
  | {
      readonly type: 'job';
      readonly outcome: 'stuck' | 'slow' | 'killed' | 'failed' | 'items-fail';
      /** stuck: how long it stays queued; slow: how much longer it works. */
      readonly forMs?: number;
      /** items-fail: the share of items that fail. */
      readonly share?: number;
    };

/** A fault in force. */
export interface Fault {
  readonly id: string;
  readonly match: FaultMatch;
  readonly effect: FaultEffect;
  /** How often it befalls a matching call. */
  readonly probability: number;
  /** How many matching calls pass before it begins. */
  skip: number;
  /** How often it may still happen; null without end. */
  left: number | null;
  readonly fromMs: number | null;
  readonly untilMs: number | null;
  /** Whether it belongs to the chaos that a seed lays over everything. */
  readonly isChaos: boolean;
  /** How often it has happened. */
  happened: number;
}

/** What is asked for when a fault is put in force. */
export interface FaultOrder {
  readonly match?: FaultMatch;
  readonly effect: FaultEffect;
  readonly probability?: number;
  readonly skip?: number;
  readonly count?: number;
  readonly forMs?: number;
  readonly isChaos?: boolean;
}

/** The whole account is down. */
export interface Outage {
  readonly as: 'status' | 'reset' | 'silence';
  readonly status: number;
  readonly retryAfterSeconds: number | undefined;
  readonly untilMs: number | null;
}

/** Everything that is to go wrong. */
export interface FaultState {
  readonly inForce: Fault[];
  outage: Outage | undefined;
  nextId: number;
}

/** What of a call faults look at. */
export interface FaultSubject {
  readonly method: string;
  readonly path: string;
  readonly kind: OperationKind;
  readonly caller: string;
  readonly body: string | undefined;
}

/** How many faults may be in force at once. */
export const FAULTS_LIMIT = 1000;

/** Nothing goes wrong. */
export function noFaults(): FaultState {
  return { inForce: [], outage: undefined, nextId: 1 };
}

/** Puts a fault in force. */
export function addFault(state: FaultState, order: FaultOrder, nowMs: number): Fault {
  const fault: Fault = {
    id: `fault-${state.nextId++}`,
    match: order.match ?? {},
    effect: order.effect,
    probability: order.probability ?? 1,
    skip: order.skip ?? 0,
    left: order.count ?? null,
    fromMs: null,
    untilMs: order.forMs === undefined ? null : nowMs + order.forMs,
    isChaos: order.isChaos === true,
    happened: 0,
  };
  state.inForce.push(fault);
  return fault;
}

/**
 * The faults that befall this call. At most one of them decides its fate; header, clock and job faults may come on top.
 */
export function faultsFor(state: FaultState, subject: FaultSubject, at: { nowMs: number; random: Random }): Fault[] {
  const befalling: Fault[] = [];
  let fateDecided = false;
  for (const fault of state.inForce) {
    if (fault.left === 0 || (fault.untilMs !== null && at.nowMs >= fault.untilMs)) continue;
    if (!matches(fault.match, subject)) continue;
    const isFate = decidesFate(fault.effect);
    if (isFate && fateDecided) continue;
    if (fault.skip > 0) {
      fault.skip -= 1;
      continue;
    }
    if (fault.probability < 1 && at.random.next() >= fault.probability) continue;
    if (fault.left !== null) fault.left -= 1;
    fault.happened += 1;
    if (isFate) fateDecided = true;
    befalling.push(fault);
  }
  return befalling;
}

/** Whether an effect decides what becomes of a call; the others only add to it. */
export function decidesFate({ type }: FaultEffect): boolean {
  return type !== 'headers' && type !== 'clock' && type !== 'job';
}

/** The outage in force at this instant, if any. */
export function outageAt(state: FaultState, nowMs: number): Outage | undefined {
  if (state.outage?.untilMs != null && nowMs >= state.outage.untilMs) state.outage = undefined;
  return state.outage;
}

function matches(match: FaultMatch, subject: FaultSubject): boolean {
  if (match.method !== undefined && match.method.toUpperCase() !== subject.method) return false;
  if (match.kind !== undefined && match.kind !== subject.kind) return false;
  if (match.caller !== undefined && match.caller !== subject.caller) return false;
  if (match.bodyContains !== undefined && !subject.body?.includes(match.bodyContains)) return false;
  return match.path === undefined || matchesPath(match.path, subject.path);
}

function matchesPath(pattern: string, path: string): boolean {
  return pattern.endsWith('*') ? path.startsWith(pattern.slice(0, -1)) : pattern === path;
}
