import { Inject, Injectable } from '@nestjs/common';
import type { Clock } from '#clock';
import { type Command, parseInteractionEvent } from '#contracts';
import { ack, deadLetter, type Delivered, type Disposition, retryAfter } from '#jetstream';
import type { Log } from '#telemetry';
import { BusUnavailable, type CommandBus, type FindPolicy } from './command.bus.js';
import { planCommands } from './domain/plan-commands.js';
import type { Render } from './domain/render-fields.js';
import { commandsPlanned, eventsPlanned } from './planner.metrics.js';
import { CLOCK, COMMAND_BUS, FIND_POLICY, LOG, RENDER, UNKNOWN_ACCOUNT_WAIT_MS } from './planner.tokens.js';

/** How often an event of an unknown account is tried again. */
const UNKNOWN_ACCOUNT_RETRY_MS = 1_000;
/** Times that planning an event fails for no known reason; then it is put aside, as others must not wait for it. */
export const MAX_FAILURES = 5;
/** Events and accounts of which trouble is remembered, of each sort; beyond it the oldest is forgotten, and begins anew. */
const MAX_REMEMBERED = 10_000;
const FAILURE_RETRY_MS = 2_000;

/**
 * Turns events into commands: reads each, plans it by its account's policy, makes the commands durable, and only then lets
 * the event go. Keeps nothing between events: any number of planners share the work, and one killed anywhere costs a
 * second planning that names the same commands. What it remembers of trouble only decides when an event is put aside.
 */
@Injectable()
export class PlanHandler {
  /** Failures of planning itself, by an event's place in the stream. A delivery says nothing: outages cause many. */
  readonly #failures = new Map<number, number>();
  /** Since when, and when last, events of accounts that aren't known have come, monotonic ms. */
  readonly #unknown = new Map<string, { readonly sinceMs: number; readonly lastMs: number }>();

  constructor(
    @Inject(COMMAND_BUS) private readonly bus: CommandBus,
    @Inject(FIND_POLICY) private readonly findPolicy: FindPolicy,
    @Inject(RENDER) private readonly render: Render,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(LOG) private readonly log: Log,
    @Inject(UNKNOWN_ACCOUNT_WAIT_MS) private readonly unknownAccountWaitMs: number,
  ) {}

  /** One disposition per event, in the same order. An event that can't be planned doesn't hold up the others. */
  handle(batch: readonly Delivered[]): Promise<readonly Disposition[]> {
    return Promise.all(batch.map((delivered) => this.#plan(delivered)));
  }

  async #plan(delivered: Delivered): Promise<Disposition> {
    const parsed = parseInteractionEvent(delivered.data);
    if (!parsed.ok) return counted('', deadLetter(`no interaction event: ${parsed.reason}`));
    const event = parsed.value;
    const { account } = event;
    const found = this.findPolicy(account);
    if (found === null) return counted(account, this.#unknownAccount(account));
    this.#unknown.delete(account);
    const { policy, version: policyVersion, dryRun } = found;
    if (policy === null) {
      this.log.warn('an event is of an account for quota only: nothing is planned', { account });
      return counted(account, deadLetter('nothing is written to the CRM of this account'));
    }
    try {
      const commands = planCommands({
        event,
        policy,
        policyVersion,
        dryRun,
        render: this.render,
        nowMs: this.clock.nowMs(),
      });
      await Promise.all(commands.map((command) => this.#store(command)));
      this.#failures.delete(delivered.sequence);
      return counted(account, ack);
    } catch (error) {
      return counted(account, this.#failed(delivered, error));
    }
  }

  async #store(command: Command): Promise<void> {
    await this.bus.store(command);
    const { account, type, data } = command;
    commandsPlanned.inc({ account, kind: type, priority: data.priority });
  }

  /**
   * The list of accounts may be behind, for a moment; an account that was taken out for good leaves its events to the operator. The wait is
   * the account's, not the event's: events that wait keep others from being delivered.
   */
  #unknownAccount(account: string): Disposition {
    const nowMs = this.clock.monotonicMs();
    const before = this.#unknown.get(account);
    const goesOn = before && nowMs - before.lastMs <= Math.max(this.unknownAccountWaitMs, 2 * UNKNOWN_ACCOUNT_RETRY_MS);
    const sinceMs = goesOn ? before.sinceMs : nowMs;
    remember(this.#unknown, account, { sinceMs, lastMs: nowMs });
    return nowMs - sinceMs < this.unknownAccountWaitMs
      ? retryAfter(UNKNOWN_ACCOUNT_RETRY_MS)
      : deadLetter('the account is not known');
  }

  #failed({ sequence }: Delivered, error: unknown): Disposition {
    if (error instanceof BusUnavailable) return retryAfter(error.retryInMs);
    const failures = (this.#failures.get(sequence) ?? 0) + 1;
    this.log.error('an event could not be planned', { sequence, failures, error });
    if (failures < MAX_FAILURES) {
      remember(this.#failures, sequence, failures);
      return retryAfter(FAILURE_RETRY_MS);
    }
    this.#failures.delete(sequence);
    return deadLetter(`planning failed ${MAX_FAILURES} times: ${error instanceof Error ? error.name : 'unknown'}`);
  }
}

function remember<K, V>(map: Map<K, V>, key: K, value: V): void {
  map.delete(key);
  for (const oldest of map.keys()) {
    if (map.size < MAX_REMEMBERED) break;
    map.delete(oldest);
  }
  map.set(key, value);
}

function counted(account: string, disposition: Disposition): Disposition {
  eventsPlanned.inc({ account, outcome: disposition.kind });
  return disposition;
}
