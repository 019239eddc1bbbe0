import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { type Clock, randomId } from '#clock';
import { type Command, type Outcome, parseCommand, parseOutcome } from '#contracts';
import { homeDirectory, projectRoot, type Stack, startStack } from '#embedded';
import { connectNats, readStream } from '#jetstream';
import { ACCOUNT, CRM_EMAIL, demoAccounts, EXTERNAL_ID_PREFIX, LICENCE, NEIGHBOUR, TIME_SCALE } from './accounts.js';
import { comparable, minutesAtLimit, type SimulatorBooks, SimulatorControl } from './crm-books.js';
import { compareBooks } from './domain/compare-books.js';
import { effectOrder } from './domain/effect-order.js';
import { interactionsOf, readSample, replayed } from './domain/sample-day.js';
import { Neighbour } from './neighbour.js';
import { Player } from './player.js';
import { Eta, progressLine, standing } from './progress.js';
import type { DemoReport } from './report.js';

/** The sample's 39 minutes take this much of a minute. */
const PLAY_PACE = 50;
/** When the simulated CRM goes away, and for how long (about two of the licence's minutes). */
const OUTAGE_AFTER_MS = 20_000;
const OUTAGE_MS = 8_000;
const PROGRESS_EVERY_MS = 500;
/** Everything must have become effective this long after the last event was delivered. */
const DRAIN_LIMIT_MS = 120_000;
const CRM_TOKEN_BYTES = 16;

export interface DemoOptions {
  readonly clock: Clock;
  /** Told line by line what happens; `replace` = the line takes the place of the last one. */
  readonly say: (line: string, replace?: boolean) => void;
  readonly stopping: AbortSignal;
  /** Called before the stack is stopped. */
  readonly beforeStop?: (stack: Stack) => Promise<void>;
}

/** Starts everything, plays the sample, waits until all of it has become effective, and compares the books. */
export async function runDemo(options: DemoOptions): Promise<DemoReport> {
  const secrets = {
    DEMO_CRM_TOKEN: randomBytes(CRM_TOKEN_BYTES).toString('hex'),
    DEMO_INGEST_PASSWORD: randomBytes(CRM_TOKEN_BYTES).toString('hex'),
  };
  const dataDir = join(homeDirectory(), 'demo');
  const stack = await startStack({
    dataDir,
    persistent: true,
    fresh: true,
    stopping: options.stopping,
    accountsYaml: ({ simulatorUrl }) => demoAccounts(simulatorUrl),
    simulator: {
      args: [
        `--licence=${LICENCE}`,
        `--speed=${TIME_SCALE}`,
        `--credential=${CRM_EMAIL}/token:${secrets.DEMO_CRM_TOKEN}`,
      ],
    },
    env: secrets,
    say: options.say,
  });
  try {
    const run = new DemoRun(stack, secrets, options);
    const report = await run.play();
    await options.beforeStop?.(stack);
    return report;
  } finally {
    options.say('Stopping everything');
    await stack.stop();
  }
}

class DemoRun {
  private readonly control: SimulatorControl;
  private readonly player: Player;
  private note = '';

  constructor(
    private readonly stack: Stack,
    private readonly secrets: { readonly DEMO_CRM_TOKEN: string; readonly DEMO_INGEST_PASSWORD: string },
    private readonly options: DemoOptions,
  ) {
    this.control = new SimulatorControl(simulatorUrlOf(stack));
    this.player = new Player(stack.service('ingest').url, secrets.DEMO_INGEST_PASSWORD, options.clock);
  }

  async play(): Promise<DemoReport> {
    const { clock, stopping, say } = this.options;
    const startedMs = clock.monotonicMs();
    const sample = readSample(readFileSync(join(projectRoot(), 'apps/demo/sample/sample-day.jsonl'), 'utf8'));
    const interactions = new Set(sample.flatMap(interactionsOf));
    const operator = await connectNats({
      servers: this.stack.nats.url,
      name: 'demo',
      ...this.stack.credentials('operator'),
    });
    const neighbourNats = await this.connectNeighbour();
    const finished = new AbortController();
    const over = AbortSignal.any([stopping, finished.signal]);
    const neighbour = this.neighbourOn(neighbourNats);
    say(
      `Playing ${interactions.size} interactions (${sample.length} deliveries); the licence allows 200 calls each ${60 / TIME_SCALE} s`,
    );
    try {
      const background = [neighbour.run(over), this.outage(over), this.progress(operator, over)];
      await Promise.race([
        this.player.play(replayed(sample, clock.nowMs(), PLAY_PACE), stopping),
        ...background.map(failing),
      ]);
      this.note = 'all events delivered; draining';
      const drained = await Promise.race([this.drained(operator, stopping), ...background.map(failing)]);
      finished.abort();
      await Promise.all(background);
      return await this.report({ interactions, ...drained, neighbour, startedMs });
    } finally {
      finished.abort();
      await Promise.all([this.player.close(), operator.close(), neighbourNats.close()]);
    }
  }

  private connectNeighbour(): Promise<NatsConnection> {
    const credentials = this.stack.credentials(`${ACCOUNT}.${NEIGHBOUR}`);
    return connectNats({ servers: this.stack.nats.url, name: NEIGHBOUR, ...credentials });
  }

  private neighbourOn(nc: NatsConnection): Neighbour {
    return new Neighbour(nc, simulatorUrlOf(this.stack), this.secrets.DEMO_CRM_TOKEN, this.options.clock, randomId);
  }

  private async outage(over: AbortSignal): Promise<void> {
    const { clock } = this.options;
    await clock.sleep(OUTAGE_AFTER_MS, over).catch(() => undefined);
    if (over.aborted) return;
    await this.control.outageBegins();
    this.note = 'the CRM is away';
    await clock.sleep(OUTAGE_MS, over).catch(() => undefined);
    await this.control.outageEnds();
    this.note = 'the CRM is back';
  }

  private async progress(operator: NatsConnection, over: AbortSignal): Promise<void> {
    const eta = new Eta();
    while (!over.aborted) {
      const now = await standing(operator, this.stack.service('crm-writer').url);
      const etaMs = now === null ? null : eta.guessMs(this.options.clock.monotonicMs(), now);
      const { accepted } = this.player.delivered;
      if (!over.aborted) this.options.say(progressLine(accepted, now, etaMs, this.note), true);
      await this.options.clock.sleep(PROGRESS_EVERY_MS, over).catch(() => undefined);
    }
  }

  /** Waits until every event has been planned and every command has an outcome. */
  private async drained(
    operator: NatsConnection,
    stopping: AbortSignal,
  ): Promise<{ commands: Command[]; outcomes: Outcome[]; isDrained: boolean }> {
    const { clock } = this.options;
    const untilMs = clock.monotonicMs() + DRAIN_LIMIT_MS;
    for (;;) {
      const outcomes = await readStream(operator, 'OUTCOMES', parseOutcome);
      const commands = await readStream(operator, 'COMMANDS', parseCommand);
      const now = await standing(operator, this.stack.service('crm-writer').url);
      const known = new Set(outcomes.map(({ data }) => data.commandId));
      const isDrained =
        (await this.isPlanned(operator)) &&
        commands.every(({ id }) => known.has(id)) &&
        now?.waiting === 0 &&
        now.underWay === 0;
      if (isDrained || clock.monotonicMs() >= untilMs) return { commands, outcomes, isDrained };
      await clock.sleep(PROGRESS_EVERY_MS, stopping);
    }
  }

  private async isPlanned(operator: NatsConnection): Promise<boolean> {
    const manager = await jetstreamManager(operator, { checkAPI: false });
    const consumers = await manager.consumers.list('INTERACTIONS').next();
    const planner = consumers.find(({ name }) => name === 'command-planner');
    return planner !== undefined && planner.num_pending === 0 && planner.num_ack_pending === 0;
  }

  private async report(seen: {
    readonly interactions: ReadonlySet<string>;
    readonly commands: readonly Command[];
    readonly outcomes: readonly Outcome[];
    readonly isDrained: boolean;
    readonly neighbour: Neighbour;
    readonly startedMs: number;
  }): Promise<DemoReport> {
    const { interactions, commands, outcomes, neighbour } = seen;
    const commandIds = new Set(commands.map(({ id }) => id));
    await this.control.expect(effectOrder(commands));
    const [books, audit] = await Promise.all([this.control.books(), this.control.audit()]);
    const compared = compareBooks(interactions, commandIds, EXTERNAL_ID_PREFIX, comparable(books));
    const calls = Object.fromEntries(Object.entries(books.callers).map(([caller, totals]) => [caller, totals.calls]));
    return {
      interactions: interactions.size,
      events: this.player.delivered.accepted,
      duplicates: this.player.delivered.duplicates,
      rejected: this.player.delivered.rejected,
      commands: commandIds.size,
      tickets: compared.tickets,
      callsUsed: Object.values(calls).reduce((sum, count) => sum + count, 0),
      callsByIntegration: calls,
      callsSaved: commandIds.size - writeCalls(books),
      neighbourRefusals: neighbour.totals.refusals,
      minutesAtLimit: minutesAtLimit(books),
      longestWaitMs: outcomes.reduce((longest, { data }) => Math.max(longest, data.delayMs), 0),
      refused429: books.refusals.ours + books.refusals.foreign,
      lost: compared.lost,
      doubled: compared.doubled,
      strangers: compared.strangers,
      booksAgree: this.booksAgree(books, audit, outcomes, seen.isDrained),
      audit,
      durationMs: Math.round(this.options.clock.monotonicMs() - seen.startedMs),
    };
  }

  /** What Sluice itself says (all done, this many tickets) must be what the CRM says. */
  private booksAgree(
    books: SimulatorBooks,
    audit: { readonly ok: boolean },
    outcomes: readonly Outcome[],
    isDrained: boolean,
  ): boolean {
    const done = outcomes.filter(({ type }) => type === 'done');
    const tickets = new Set(done.map(({ data }) => data.ticketId));
    return isDrained && audit.ok && tickets.size === books.tickets && done.length === outcomes.length;
  }
}

function simulatorUrlOf(stack: Stack): string {
  if (stack.simulator === null) throw new Error('the demo needs the simulator');
  return stack.simulator.url;
}

const WRITE_KINDS = [
  'tickets.create',
  'tickets.create_many',
  'tickets.update',
  'tickets.update_many',
  'jobs.show',
  'jobs.list',
];

function writeCalls(books: SimulatorBooks): number {
  return WRITE_KINDS.reduce((sum, kind) => sum + (books.kinds[kind] ?? 0), 0);
}

/** A promise that only ever rejects: a background task's failure must end the demo, its end must not. */
async function failing(task: Promise<unknown>): Promise<never> {
  await task;
  return new Promise<never>(() => undefined);
}
