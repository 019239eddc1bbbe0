import { setMaxListeners } from 'node:events';
import { parseAccounts } from '#accounts';
import { type Command, isWritten, type WrittenAccount } from '#contracts';
import { limitsOf } from '#limits';
import { silentLog } from '#telemetry';
import { liquidRender } from '../../apps/command-planner/src/liquid-render.js';
import { planCommands } from '../../apps/command-planner/src/domain/plan-commands.js';
import { AccountWriter } from '../../apps/crm-writer/src/account.writer.js';
import { CallMaker } from '../../apps/crm-writer/src/call.maker.js';
import { usableCommand } from '../../apps/crm-writer/src/domain/usable-command.js';
import { PlaceReturner } from '../../apps/crm-writer/src/place.returner.js';
import { NatsQuotaClient } from '../../apps/crm-writer/src/quota.client.js';
import { SimulatedWriteStore } from '../../apps/crm-writer/src/simulated.write-store.js';
import { LICENCES } from '../../apps/zendesk-simulator/src/domain/options.js';
import { type Random, randomFrom } from '../../apps/zendesk-simulator/src/domain/random.js';
import { Simulator } from '../../apps/zendesk-simulator/src/domain/simulator.js';
import { VirtualClient } from '../../apps/zendesk-simulator/src/domain/virtual-client.js';
import { arrivalsOf } from './business-day.js';
import { runGreedyNeighbour } from './greedy-neighbour.js';
import { eventOf, interactionOf, knownPhone, type PlannedInteraction } from './interactions.js';
import type { Scenario } from './scenarios.js';
import { VirtualCrm } from './virtual-crm.js';
import { VirtualLedger } from './virtual-ledger.js';
import { VirtualTime } from './virtual-time.js';

/** Midnight of the simulated day, a Monday. */
export const DAY_STARTS_MS = Date.UTC(2026, 0, 5);
const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
const MINUTES_PER_DAY = 1_440;

export const ACCOUNT = 'acme';
export const NEIGHBOUR = 'reporting';
export const OWN_CALLER = 'sluice';
export const FOREIGN_CALLER = '(foreign)';
const EXTERNAL_ID_PREFIX = 'ccai-';
/** Known customers, for each interaction of the day. */
const CUSTOMERS_PER_INTERACTION = 0.6;
/** From an event at CCAI to its commands at the writer: webhook, two streams, batching. */
const INTAKE = { leastMs: 30, spreadMs: 120 } as const;
/** A transaction of the writer's store. */
const COMMIT = { leastMs: 1, spreadMs: 3 } as const;
const BOUNDS = { maxCallsInFlight: 16, maxSubmissionsInFlight: 4 };
/** How long what is looked at only now and then may be unseen. */
const LOOK_MS = 5_000;

/** A command as it was handed to the writer. */
export interface DueCommand {
  readonly command: Command;
  /** When the first event that needs it happened, epoch ms. */
  readonly dueMs: number;
  readonly interaction: PlannedInteraction;
}

/** Everything real, and what it is made to believe is the world: see README.md beside this. */
export class World {
  readonly time: VirtualTime;
  readonly simulator: Simulator;
  readonly store: SimulatedWriteStore;
  readonly day: readonly PlannedInteraction[];
  /** By their ids. */
  readonly due = new Map<string, DueCommand>();
  readonly config: WrittenAccount;
  readonly #random: (use: number) => Random;
  readonly #intake: Random;
  readonly #commits: Random;
  readonly #knownContacts: number;
  readonly #render = liquidRender();
  readonly #ended = new AbortController();
  #running: Promise<unknown> = Promise.resolve();
  #writer!: AccountWriter;
  #isBegun = false;
  #eventsLeft = 0;
  #outcomes = 0;
  #ids = 0;
  #looksNextAtMs = 0;

  constructor(readonly scenario: Scenario) {
    this.time = new VirtualTime(DAY_STARTS_MS + scenario.arrivals.hours.from * HOUR_MS);
    // Every use has its own stream of numbers, so that one more call somewhere doesn't change the whole day.
    this.#random = (use) => randomFrom(scenario.seed * 31 + use);
    this.#intake = this.#random(7);
    this.#commits = this.#random(3);
    const customers = Math.ceil(scenario.arrivals.interactions * CUSTOMERS_PER_INTERACTION);
    this.day = dayOf(scenario, customers, this.#random(1), this.#random(2));
    this.config = configOf(scenario);
    this.store = new SimulatedWriteStore({
      clock: this.time.clock,
      faults: { beforeCommit: () => this.#commitTakesTime() },
      wrote: () => {
        this.#outcomes += this.store.outbox.size;
        this.store.outbox.clear();
      },
    });
    this.simulator = simulatorOf(scenario);
    this.#knownContacts = customers;
  }

  /** Lets the whole day pass, and as much more as what waits needs, within the scenario's patience. */
  async run(): Promise<void> {
    await this.#rememberContacts();
    this.#isBegun = true;
    const ledger = new VirtualLedger(this.time, this.#random(4));
    await ledger.begin(this.config);
    this.#startWriter(ledger);
    for (const interaction of this.day) this.#schedule(interaction, 0);
    this.#eventsLeft = this.day.reduce((sum, { steps }) => sum + steps.length, 0);
    this.#planTrouble();
    if (this.scenario.hasGreedyNeighbour) {
      const crm = this.#crm(NEIGHBOUR, 8);
      void runGreedyNeighbour(ACCOUNT, NEIGHBOUR, { time: this.time, line: ledger.line, crm });
    }
    const lastMs = Math.max(...this.day.map(({ steps }) => steps.at(-1)!.atMs));
    await this.time.runUntil(lastMs + this.scenario.patienceMs, () => this.#isOver());
  }

  /** Ends the writer; what is under way is waited for. */
  async end(): Promise<void> {
    this.#ended.abort();
    await this.time.runUntil(this.time.nowMs + MINUTE_MS);
    await this.#running;
  }

  /** Nothing will happen any more: all events were taken in, and every command has come to its end. */
  #isOver(): boolean {
    if (this.#eventsLeft > 0 || this.#outcomes < this.due.size || this.time.nowMs < this.#looksNextAtMs) return false;
    this.#looksNextAtMs = this.time.nowMs + LOOK_MS;
    return true;
  }

  #startWriter({ line }: VirtualLedger): void {
    const { time, config, store } = this;
    const random = this.#random(5);
    const newId = (): string => `id-${(this.#ids += 1)}`;
    const quota = new NatsQuotaClient(line as never, time.clock, newId);
    const shared = {
      clock: time.clock,
      log: silentLog,
      quota,
      store,
      newId,
      random: () => random.next(),
      ended: this.#ended.signal,
    };
    // Every call in flight may wait on it.
    setMaxListeners(BOUNDS.maxCallsInFlight * 2, this.#ended.signal);
    const { timeScale, requestTimeoutMs } = config.crm;
    const crm = this.#crm(OWN_CALLER, 6);
    const limits = limitsOf(config);
    const maker = new CallMaker({ ...shared, crm, account: ACCOUNT, limits, timeScale, requestTimeoutMs });
    this.#writer = new AccountWriter({ ...shared, config, maker, bounds: BOUNDS });
    const places = new PlaceReturner({ ...shared, account: ACCOUNT });
    this.#running = Promise.all([this.#writer.run(), places.run()]);
  }

  #commitTakesTime(): Promise<void> {
    return this.#isBegun
      ? this.time.clock.sleep(COMMIT.leastMs + this.#commits.next() * COMMIT.spreadMs)
      : Promise.resolve();
  }

  #crm(caller: string, use: number): VirtualCrm {
    return new VirtualCrm({ time: this.time, simulator: this.simulator, random: this.#random(use), caller });
  }

  #schedule(interaction: PlannedInteraction, position: number): void {
    const step = interaction.steps[position];
    if (!step) return;
    this.time.at(step.atMs, () => {
      void this.#happens(interaction, position);
      this.#schedule(interaction, position + 1);
    });
  }

  /** An event is told, planned, and its commands taken in. */
  async #happens(interaction: PlannedInteraction, position: number): Promise<void> {
    const event = eventOf(ACCOUNT, interaction, position);
    const planned = planCommands({
      event,
      policy: this.config.policy,
      policyVersion: 1,
      render: this.#render,
      nowMs: this.time.clock.nowMs(),
    });
    const commands = planned.filter(({ id }) => !this.due.has(id));
    for (const command of commands) this.due.set(command.id, { command, dueMs: event.occurredAt, interaction });
    if (planned.length > 0) {
      await this.time.clock.sleep(INTAKE.leastMs + this.#intake.next() * INTAKE.spreadMs);
      await this.store.takeIn(planned.map(asUsable));
      if (commands.length > 0) this.#writer.wake();
    }
    this.#eventsLeft -= 1;
  }

  /** Customers of earlier days: the CRM has them, and the writer remembers them. */
  async #rememberContacts(): Promise<void> {
    const client = new VirtualClient(this.simulator, {
      startMs: DAY_STARTS_MS - 2 * HOUR_MS,
      caller: 'the days before',
    });
    for (let customer = 0; customer < this.#knownContacts; customer += 1) {
      const phone = knownPhone(customer);
      const user = { name: phone, phone, external_id: `${EXTERNAL_ID_PREFIX}${phone}` };
      const { body } = client.post('users', { user });
      const userId = (body['user'] as { readonly id: number }).id;
      const becomes = { is: 'known', userId } as const;
      const known = {
        account: ACCOUNT,
        call: null,
        keys: [`phone:${phone}`],
        step: 'search',
        expiresInMs: 0,
        becomes,
      } as const;
      await this.store.recordContact(known);
    }
    client.control('DELETE', '/calls');
    client.control('PATCH', '/options', { latencyScale: 1 });
    const { licence, callsPerDay, otherUsage } = this.scenario;
    client.control('PUT', '/limits', { licence, perMinute: perMinuteOf(licence), perDay: callsPerDay });
    if (otherUsage > 0) {
      const perMinute = callsPerDay === null ? perMinuteOf(licence) : callsPerDay / MINUTES_PER_DAY;
      const foreign = { caller: FOREIGN_CALLER, callsPerMinute: perMinute * otherUsage, kind: 'other' };
      client.control('PUT', '/foreign', [foreign]);
    }
  }

  #planTrouble(): void {
    const { outage, halvedAtHour, licence, callsPerDay } = this.scenario;
    const control = (method: string, path: string, body: object): void => {
      const { status } = this.simulator.control({ method, path, body: body as never }, this.time.nowMs);
      if (status !== 200) throw new Error(`the simulator refused ${method} ${path}`);
    };
    if (outage)
      this.time.at(DAY_STARTS_MS + outage.fromMs, () =>
        control('PUT', '/outage', { as: 'status', status: 503, forMs: outage.forMs }),
      );
    if (halvedAtHour !== null)
      this.time.at(DAY_STARTS_MS + halvedAtHour * HOUR_MS, () =>
        control('PUT', '/limits', {
          perMinute: Math.floor(perMinuteOf(licence) / 2),
          perDay: callsPerDay === null ? null : Math.floor(callsPerDay / 2),
        }),
      );
  }
}

/** Calls a minute that a licence allows. */
export function perMinuteOf(licence: string): number {
  const known = LICENCES.find(({ name }) => name === licence);
  if (!known) throw new Error(`unknown licence ${licence}; known: ${LICENCES.map(({ name }) => name).join(', ')}`);
  return known.limitPerMinute;
}

function dayOf(scenario: Scenario, known: number, when: Random, what: Random): PlannedInteraction[] {
  const customers = { known, newCallers: scenario.newCallers };
  return arrivalsOf(scenario.arrivals, when).map((startMs, number) =>
    interactionOf(number, DAY_STARTS_MS + startMs, customers, what),
  );
}

/** The account as an operator would declare it. */
function configOf({ licence, callsPerDay, hasGreedyNeighbour }: Scenario): WrittenAccount {
  const limits = callsPerDay === null ? '{}' : `{ day: { max: ${callsPerDay}, timeZone: UTC } }`;
  const parsed = parseAccounts(`accounts:
  ${ACCOUNT}:
    crm:
      type: zendesk
      baseUrl: https://acme.zendesk.com
      licence: ${licence}
      credential: { kind: apiToken, email: sluice@example.com, tokenRef: 'env:NONE' }
      externalIdPrefix: ${EXTERNAL_ID_PREFIX}
    limits: ${limits}
    integrations:
      ccai: { ingest: { username: ccai, passwordRef: 'env:NONE' }, trusted: true }
${hasGreedyNeighbour ? `      ${NEIGHBOUR}: {}\n` : ''}`);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  const [account] = parsed.accounts;
  if (!account || !isWritten(account)) throw new Error('Sluice must write to the account');
  return account;
}

/** Without limits at first: the days before are not what is measured. */
function simulatorOf({ seed }: Scenario): Simulator {
  const foreignCallers = [FOREIGN_CALLER];
  return new Simulator({ seed, foreignCallers, limitPerMinute: 90_000, latencyScale: 0 }, DAY_STARTS_MS - 2 * HOUR_MS);
}

function asUsable(command: Command): Command {
  const usable = usableCommand(command);
  if (!usable.ok) throw new Error(usable.reason);
  return usable.value;
}
