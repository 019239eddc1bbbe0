import type { Arrivals } from './business-day.js';

const HOUR_MS = 3_600_000;

/** A day as it is simulated. Hours and instants are those of the simulated day, UTC. */
export interface Scenario {
  readonly seed: number;
  readonly arrivals: Arrivals;
  /** A licence of the catalogue and of the simulator. */
  readonly licence: string;
  /** Calls a day that the CRM allows the account; null = no such limit. */
  readonly callsPerDay: number | null;
  /** Of what the CRM allows, the share that others use who don't ask the ledger, 0..1. */
  readonly otherUsage: number;
  /** Of those who call, the share that was never heard of, 0..1. */
  readonly newCallers: number;
  /** The CRM answers nothing but 503. */
  readonly outage: { readonly fromMs: number; readonly forMs: number } | null;
  /** Another integration asks the ledger for all that it can get. */
  readonly hasGreedyNeighbour: boolean;
  /** From this hour on the CRM allows half. */
  readonly halvedAtHour: number | null;
  /** How long after the last event the world goes on for what still waits, at most. */
  readonly patienceMs: number;
}

const DAY: Scenario = {
  seed: 20_260_105,
  arrivals: { interactions: 20_000, curve: 'business', burst: null, hours: { from: 0, to: 24 } },
  licence: 'professional',
  callsPerDay: 2_500,
  otherUsage: 0,
  newCallers: 0.05,
  outage: null,
  hasGreedyNeighbour: false,
  halvedAtHour: null,
  patienceMs: 6 * HOUR_MS,
};

/** What can be simulated by name. */
export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  /** Nothing is scarce: an even stream, and no limit but the licence's minute. */
  steady: {
    ...DAY,
    arrivals: { ...DAY.arrivals, interactions: 10_000, curve: 'even' },
    callsPerDay: null,
  },
  /** 20,000 interactions of a business day with 2,500 calls. */
  day: DAY,
  /** A quiet day, and a third of its interactions within ten minutes of the morning. */
  burst: { ...DAY, arrivals: { ...DAY.arrivals, interactions: 6_000, burst: { atHour: 11, share: 1 / 3 } } },
  /** The CRM is down for two hours of the morning. */
  outage: {
    ...DAY,
    arrivals: { ...DAY.arrivals, interactions: 10_000 },
    outage: { fromMs: 10 * HOUR_MS, forMs: 2 * HOUR_MS },
  },
  greedy: { ...DAY, hasGreedyNeighbour: true },
  foreign: { ...DAY, otherUsage: 0.4 },
  downgrade: { ...DAY, halvedAtHour: 12 },
};
