import { type DynamicModule, Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import type { NatsConnection } from '@nats-io/transport-node';
import { systemClock } from '#clock';
import { isWritten } from '#contracts';
import { type AccountDirectory, NATS, natsModule, watchAccounts } from '#jetstream';
import { HealthChecks, type ServiceTools } from '#telemetry';
import type { FindPolicy } from './command.bus.js';
import { CommandPublisher } from './command.publisher.js';
import { InteractionConsumer } from './interaction.consumer.js';
import { liquidRender } from './liquid-render.js';
import { PlanHandler } from './plan.handler.js';
import type { PlannerSettings } from './planner.settings.js';
import { CLOCK, COMMAND_BUS, FIND_POLICY, LOG, RENDER, UNKNOWN_ACCOUNT_WAIT_MS } from './planner.tokens.js';
import { templatesFailed } from './planner.metrics.js';

/** Nest token of the `AccountDirectory`. */
export const ACCOUNTS = Symbol('ACCOUNTS');

/** Commands on their way to the stream at once. */
const MAX_COMMANDS_IN_FLIGHT = 4_096;

/** The command planner: INTERACTIONS in, COMMANDS out, policies from the accounts. */
@Module({})
export class PlannerModule implements OnApplicationShutdown {
  constructor(
    @Inject(ACCOUNTS) private readonly accounts: AccountDirectory,
    health: HealthChecks,
  ) {
    health.add('accounts', () => accounts.check());
  }

  static register(settings: PlannerSettings, { log, stopping }: ServiceTools): DynamicModule {
    return {
      module: PlannerModule,
      imports: [
        natsModule({
          servers: settings.natsUrl,
          user: settings.natsUser,
          password: settings.natsPassword,
          name: 'command-planner',
          inboxPrefix: '_SVC.command-planner',
          log,
          signal: stopping,
          publisher: { maxInFlight: MAX_COMMANDS_IN_FLIGHT },
        }),
      ],
      providers: [
        PlanHandler,
        InteractionConsumer,
        { provide: COMMAND_BUS, useClass: CommandPublisher },
        { provide: ACCOUNTS, useFactory: (nc: NatsConnection) => watchAccounts(nc, { log }), inject: [NATS] },
        { provide: FIND_POLICY, useFactory: policiesOf, inject: [ACCOUNTS] },
        { provide: RENDER, useFactory: () => liquidRender(log, () => templatesFailed.inc()) },
        { provide: CLOCK, useValue: systemClock },
        { provide: LOG, useValue: log },
        { provide: UNKNOWN_ACCOUNT_WAIT_MS, useValue: settings.unknownAccountWait },
      ],
    };
  }

  onApplicationShutdown(): Promise<void> {
    return this.accounts.stop();
  }
}

function policiesOf(accounts: AccountDirectory): FindPolicy {
  return (name) => {
    const found = accounts.get(name);
    if (found === null) return null;
    const { version, config } = found;
    return { version, policy: isWritten(config) ? config.policy : null, dryRun: config.dryRun };
  };
}
