import type { Batching, LimitStanding } from '#contracts';
import type { PlannedCall, Writer } from './plan-calls.js';

/** From this many on, a bulk job (its call and its share of a poll) costs fewer calls than single ones. */
export const FEWEST_WORTH_A_JOB = 3;
/** More than this many waiting are written faster in bulk than one by one, however much budget there is. */
export const MUCH_WAITING = 100;
/** Single calls may take this part of what a window still has; the rest is kept for what comes next. */
const SINGLE_SHARE = 0.5;
/** A window that ends later than this binds for long: what counts is what it allows until `PACE_MS` from now. */
const PACE_MS = 60_000;

export interface ChooseWriterInput {
  readonly batching: Batching;
  /** Interactions that could go now by calls of this sort. */
  readonly waiting: number;
  /** How many of them are `live`. */
  readonly waitingLive: number;
  /** What the limits that such calls draw on had left when last told; empty = not known yet. */
  readonly standings: readonly LimitStanding[];
  readonly timeScale: number;
}

/**
 * Single calls or bulk jobs, by quota cost: singly while that leaves half of every window (of a long one, of the part
 * that falls to the next minute) and little is waiting, which shows each ticket soonest; else in bulk, 100 for a call and
 * a share of the polls. Customers on the line now go singly as long as the calls for them are there at all.
 */
export function chooseWriter(input: ChooseWriterInput): Writer {
  switch (input.batching) {
    case 'off':
      return 'single';
    case 'always':
      return 'batch';
    case 'auto':
      break;
    default:
      return input.batching satisfies never;
  }
  if (input.waiting < FEWEST_WORTH_A_JOB) return 'single';
  if (input.waiting > MUCH_WAITING) return 'batch';
  const budget = budgetOf(input.standings, input.timeScale);
  if (budget === null) return 'single';
  if (input.waiting <= budget * SINGLE_SHARE) return 'single';
  return input.waiting === input.waitingLive && input.waiting <= budget ? 'single' : 'batch';
}

/** Tickets in a job from which on it isn't worth while to wait for more to become ready. */
const ENOUGH_FOR_A_JOB = 25;

/**
 * May a bulk job that could still grow go now? Contacts that are being looked up will add to it shortly; a customer on the
 * line, or a good number of tickets, doesn't wait for them.
 */
export function isReadyToGo(call: Pick<PlannedCall, 'kind' | 'priority' | 'items'>, contactsPending: number): boolean {
  if (call.kind !== 'tickets.create_many' || contactsPending === 0) return true;
  return call.priority === 'live' || call.items.length >= ENOUGH_FOR_A_JOB;
}

/** Calls that the tightest window allows in the next minute (in the CRM's own time); null = not known. */
function budgetOf(standings: readonly LimitStanding[], timeScale: number): number | null {
  let least: number | null = null;
  for (const { remaining, resetsInMs } of standings) {
    if (resetsInMs === null) continue;
    const part = Math.min(1, PACE_MS / timeScale / Math.max(resetsInMs, 1));
    const allowed = remaining * part;
    least = least === null ? allowed : Math.min(least, allowed);
  }
  return least;
}
