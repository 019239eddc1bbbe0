import type { PlannedInteraction } from './interactions.js';
import type { Scenario } from './scenarios.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** A call that the platform's own integration would make: one for each activity, nothing merged, nothing batched. */
interface SingleCall {
  readonly dueMs: number;
  readonly makes: 'ticket' | 'update' | 'nothing';
  readonly interaction: PlannedInteraction;
}

/** When what was due at the CRM was there. */
export interface Effects {
  readonly tickets: {
    readonly interaction: PlannedInteraction;
    readonly dueMs: number;
    readonly atMs: number | null;
  }[];
  readonly updates: { readonly dueMs: number; readonly atMs: number | null }[];
  readonly callsUsedOnDay: number;
  readonly callsUsed: number;
}

/**
 * The day as single calls, first in, first out, as CCAI's documentation describes its own integration (docs/ccai.md): contact looked up,
 * made where it is new, open ticket looked up, ticket made, then a call for each of the comments. What meets a full window waits in the
 * queue until the next one. A model of its own: it shares nothing with what it is compared with but the day.
 */
export function simulateBaseline(
  scenario: Scenario,
  perMinute: number,
  dayMs: number,
  day: readonly PlannedInteraction[],
): Effects {
  const queue = day.flatMap(callsOf).sort((a, b) => a.dueMs - b.dueMs);
  const effects: Effects = { tickets: [], updates: [], callsUsedOnDay: 0, callsUsed: queue.length };
  const windows = new Windows(scenario, perMinute, dayMs);
  let callsUsedOnDay = 0;
  for (const { dueMs, makes, interaction } of queue) {
    const atMs = windows.nextFrom(dueMs);
    if (atMs < dayMs + DAY_MS) callsUsedOnDay += 1;
    if (makes === 'ticket') effects.tickets.push({ interaction, dueMs, atMs });
    if (makes === 'update') effects.updates.push({ dueMs, atMs });
  }
  return { ...effects, callsUsedOnDay };
}

function callsOf(interaction: PlannedInteraction): SingleCall[] {
  const calls: SingleCall[] = [];
  let hasTicket = false;
  for (const { name, atMs } of interaction.steps) {
    const add = (makes: SingleCall['makes']): void => void calls.push({ dueMs: atMs, makes, interaction });
    const isLast = name === 'ended' || name === 'dispositioned' || name === 'metadata';
    if (!hasTicket && (name === 'assigned' || isLast)) {
      hasTicket = true;
      add('nothing');
      if (interaction.isNewCaller) add('nothing');
      add('nothing');
      add('ticket');
    }
    if (isLast) add('update');
  }
  return calls;
}

/** Fixed windows of a minute and a day, in which one queue's calls are made one after the other. */
class Windows {
  #atMs = 0;
  #minute = { startMs: 0, calls: 0 };
  #day = { startMs: 0, calls: 0 };

  constructor(
    private readonly scenario: Scenario,
    private readonly perMinute: number,
    private readonly dayMs: number,
  ) {}

  /** When the next call of the queue is made, which is due at `dueMs`. */
  nextFrom(dueMs: number): number {
    this.#atMs = Math.max(this.#atMs, dueMs);
    for (;;) {
      const laterMs = this.#blockedUntil(this.#atMs);
      if (laterMs === null) break;
      this.#atMs = laterMs;
    }
    this.#minute.calls += 1;
    this.#day.calls += 1;
    return this.#atMs;
  }

  #blockedUntil(atMs: number): number | null {
    const { outage, callsPerDay, otherUsage } = this.scenario;
    const share = (1 - otherUsage) * (this.#isHalved(atMs) ? 0.5 : 1);
    if (outage && atMs >= this.dayMs + outage.fromMs && atMs < this.dayMs + outage.fromMs + outage.forMs)
      return this.dayMs + outage.fromMs + outage.forMs;
    this.#minute = inWindow(this.#minute, atMs, MINUTE_MS);
    this.#day = inWindow(this.#day, atMs, DAY_MS);
    if (callsPerDay !== null && this.#day.calls >= Math.floor(callsPerDay * share)) return this.#day.startMs + DAY_MS;
    if (this.#minute.calls >= Math.floor(this.perMinute * share)) return this.#minute.startMs + MINUTE_MS;
    return null;
  }

  #isHalved(atMs: number): boolean {
    const { halvedAtHour } = this.scenario;
    return halvedAtHour !== null && atMs >= this.dayMs + halvedAtHour * HOUR_MS;
  }
}

function inWindow(window: { startMs: number; calls: number }, atMs: number, lengthMs: number) {
  const startMs = Math.floor(atMs / lengthMs) * lengthMs;
  return startMs === window.startMs ? window : { startMs, calls: 0 };
}
