import { control, type ControlAnswer, type ControlRequest, type Controlled } from './control.js';
import type { Exchange, Reply, SimulatorRequest } from './exchange.js';
import { startForeign } from './foreign.js';
import { advance, handle } from './handle.js';
import { DEFAULT_OPEN_POINTS, DEFAULT_OPTIONS, licenceOf, type OpenPoints, type SimulatorOptions } from './options.js';
import { newWorld, type World } from './world.js';

/** Options to start with; what is left out has its default. */
export type SimulatorChoices = Partial<Omit<SimulatorOptions, 'open'>> & { readonly open?: Partial<OpenPoints> };

/**
 * A simulated Zendesk account in virtual time. Every instant handed in is epoch milliseconds of the simulated clock
 * and may only grow; an earlier one counts as the latest seen.
 */
export class Simulator {
  private readonly state: Controlled;

  constructor(choices: SimulatorChoices = {}, startMs = 0) {
    const options = { ...DEFAULT_OPTIONS, ...choices, open: { ...DEFAULT_OPEN_POINTS, ...choices.open } };
    licenceOf(options);
    this.state = { world: newWorld(options, startMs), expectation: undefined, advancedMs: 0 };
    startForeign(this.state.world);
  }

  /** The state as it is, for tests that look inside. */
  get world(): World {
    return this.state.world;
  }

  /** Sends a request at `nowMs`. Its reply is to be collected at `readyAtMs` of the exchange, or later. */
  submit(request: SimulatorRequest, nowMs: number): Exchange {
    const { advancedMs } = this.state;
    const exchange = handle(request, this.state.world, nowMs + advancedMs);
    return advancedMs === 0 ? exchange : inCallersTime(exchange, () => this.state.advancedMs);
  }

  /** The reply to a request, once its time has come; undefined before. */
  collect(exchange: Exchange, nowMs: number): Reply | undefined {
    this.advanceTo(nowMs);
    return nowMs >= exchange.readyAtMs ? exchange.reply : undefined;
  }

  /** Sends a request and lets time pass until its reply: for callers that do one thing at a time. */
  call(request: SimulatorRequest, nowMs: number): { reply: Reply; delayMs: number } {
    const exchange = this.submit(request, nowMs);
    for (let waits = 0; waits < WAITS_LIMIT; waits += 1) {
      const reply = this.collect(exchange, exchange.readyAtMs);
      if (reply) return { reply, delayMs: Math.max(0, exchange.readyAtMs - nowMs) };
    }
    return { reply: { kind: 'silence' }, delayMs: Math.max(0, exchange.readyAtMs - nowMs) };
  }

  /** Lets what is due up to `nowMs` happen: jobs, late effects, foreign calls. */
  advanceTo(nowMs: number): void {
    advance(this.state.world, nowMs + this.state.advancedMs);
  }

  /** Serves a request to the control door. */
  control(request: ControlRequest, nowMs: number): ControlAnswer {
    this.advanceTo(nowMs);
    return control(this.state, request);
  }
}

/** An arrival, an effect and an answer can each postpone a reply once. */
const WAITS_LIMIT = 4;

/** Where the clock was advanced through the control door, callers still reckon in the time they hand in. */
function inCallersTime(exchange: Exchange, advancedMs: () => number): Exchange {
  return {
    id: exchange.id,
    submittedAtMs: exchange.submittedAtMs - advancedMs(),
    get readyAtMs() {
      return exchange.readyAtMs - advancedMs();
    },
    get reply() {
      return exchange.reply;
    },
  } as Exchange;
}
