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
const UNKNOWN_ACCOUNT_RETRY_MS = 5_000;
/** Deliveries of an event that fails for no known reason; then it is put aside, as others must not wait for it. */
export const MAX_FAILED_DELIVERIES = 5;
const FAILURE_RETRY_MS = 2_000;

/**
 * Turns events into commands: reads each, plans it by its account's policy, makes the commands durable, and only then lets
 * the event go. Keeps nothing between events: any number of planners share the work, and one killed anywhere costs a
 * second planning that names the same commands.
 */
@Injectable()
export class PlanHandler {
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
    if (found === null) return counted(account, this.#unknownAccount(delivered));
    try {
      const commands = planCommands({
        event,
        policy: found.policy,
        policyVersion: found.version,
        render: this.render,
        nowMs: this.clock.nowMs(),
      });
      await Promise.all(commands.map((command) => this.#store(command)));
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

  /** The list of accounts may be behind; an account that was taken out for good leaves its events to the operator. */
  #unknownAccount({ deliveryCount }: Delivered): Disposition {
    const triedMs = (deliveryCount - 1) * UNKNOWN_ACCOUNT_RETRY_MS;
    return triedMs < this.unknownAccountWaitMs
      ? retryAfter(UNKNOWN_ACCOUNT_RETRY_MS)
      : deadLetter('the account is not known');
  }

  #failed({ deliveryCount, sequence }: Delivered, error: unknown): Disposition {
    if (error instanceof BusUnavailable) return retryAfter(error.retryInMs);
    this.log.error('an event could not be planned', { sequence, deliveryCount, error });
    return deliveryCount < MAX_FAILED_DELIVERIES
      ? retryAfter(FAILURE_RETRY_MS)
      : deadLetter(
          `planning failed ${MAX_FAILED_DELIVERIES} times: ${error instanceof Error ? error.name : 'unknown'}`,
        );
  }
}

function counted(account: string, disposition: Disposition): Disposition {
  eventsPlanned.inc({ account, outcome: disposition.kind });
  return disposition;
}
