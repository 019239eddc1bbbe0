/*
 * How many calls the simulator serves in virtual time, in this process, on one core: the mix of calls that an
 * integration makes, each answered in full, with all limits counted and all books kept.
 */
import { Simulator } from '../../apps/zendesk-simulator/src/domain/simulator.js';
import { median } from './bench.js';

const START_MS = Date.UTC(2026, 0, 5, 8);
/** Not measured: until then the code isn't compiled for speed. */
const WARM_UP_CALLS = 40_000;
const CALLS_PER_ROUND = 50_000;
const ROUNDS = 9;
const QUICK_ROUNDS = 3;
/** 2,500 calls a minute, as the largest licence allows. */
const GAP_MS = 24;

/** What the bench found. */
export interface SimulatorBench extends Record<string, unknown> {
  /** The median round. */
  readonly callsPerSecond: number;
  readonly rounds: readonly number[];
  readonly calls: number;
  readonly tickets: number;
  readonly refused: number;
  /** How much faster than the real clock a day of calls at the full licence passes. */
  readonly timesRealTime: number;
}

/** Measures the simulator. */
export async function run(options: { quick: boolean }): Promise<SimulatorBench> {
  const simulator = newSimulator();
  const warmingUp = newSimulator();
  for (let sent = 0; sent < WARM_UP_CALLS; sent += 1) warmingUp.call(requestOf(sent), START_MS + sent * GAP_MS);
  const rounds: number[] = [];
  let made = 0;
  let refused = 0;
  let bytes = 0;
  for (let round = 0; round < (options.quick ? QUICK_ROUNDS : ROUNDS); round += 1) {
    const startedAtMs = performance.now();
    for (let sent = 0; sent < CALLS_PER_ROUND; sent += 1) {
      const { reply } = simulator.call(requestOf(made), START_MS + made * GAP_MS);
      made += 1;
      if (reply.kind !== 'answer') throw new Error(`a call had no answer but ${reply.kind}`);
      if (reply.status === 429) refused += 1;
      bytes += reply.body.charCodeAt(reply.body.length - 1) > 0 ? reply.body.length : 0;
    }
    rounds.push(Math.round((CALLS_PER_ROUND * 1000) / (performance.now() - startedAtMs)));
    await Promise.resolve();
  }
  if (bytes === 0) throw new Error('the answers were empty');
  const callsPerSecond = median(rounds);
  const timesRealTime = Math.round((callsPerSecond * GAP_MS) / 1000);
  return { callsPerSecond, rounds, calls: made, tickets: simulator.world.ticketIds.length, refused, timesRealTime };
}

function newSimulator(): Simulator {
  const endpointLimits = { 'tickets-update': null, 'tickets-create': null };
  return new Simulator({ licence: 'high-volume', endpointLimits }, START_MS);
}

const HEADERS = {
  authorization: `Basic ${btoa('sluice@example.com/token:secret')}`,
  'content-type': 'application/json',
  'user-agent': 'sluice/1.0',
};

/** One call in four creates, one updates, one looks up by external_id, one shows. */
function requestOf(position: number): { method: string; url: string; headers: typeof HEADERS; body?: string } {
  const ticket = position >> 2;
  const interaction = `call-${ticket}`;
  switch (position & 3) {
    case 0:
      return { method: 'POST', url: '/api/v2/tickets', headers: HEADERS, body: creation(interaction) };
    case 1:
      return { method: 'PUT', url: `/api/v2/tickets/${ticket + 1}`, headers: HEADERS, body: update(interaction) };
    case 2:
      return { method: 'GET', url: `/api/v2/tickets?external_id=${interaction}`, headers: HEADERS };
    default:
      return { method: 'GET', url: `/api/v2/tickets/${ticket + 1}`, headers: HEADERS };
  }
}

function creation(interaction: string): string {
  return JSON.stringify({
    ticket: {
      subject: 'Call to support',
      comment: { body: 'The call was answered by an agent.', public: false },
      external_id: interaction,
      tags: ['ccai', 'voice'],
      metadata: { sluice: { commands: [`${interaction}-ensure`], interaction } },
    },
  });
}

function update(interaction: string): string {
  return JSON.stringify({
    ticket: {
      comment: { body: 'The call has ended after 3 minutes.', public: false },
      status: 'open',
      metadata: { sluice: { commands: [`${interaction}-ended`], interaction } },
    },
  });
}
