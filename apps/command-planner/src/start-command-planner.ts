import type { NatsConnection } from '@nats-io/transport-node';
import { type AccountDirectory, declareStream, NATS } from '#jetstream';
import { type RunningService, startService } from '#telemetry';
import { InteractionConsumer } from './interaction.consumer.js';
import { ACCOUNTS, PlannerModule } from './planner.module.js';
import { type PlannerSettings, plannerSettings } from './planner.settings.js';

const DAY_MS = 86_400_000;

/** Runs the command planner until a signal ends it. */
export function startCommandPlanner(): Promise<RunningService> {
  let settings: PlannerSettings;
  return startService({
    name: 'command-planner',
    settings: plannerSettings,
    module: (read, tools) => {
      settings = read;
      return PlannerModule.register(read, tools);
    },
    ready: async (app, { log, stopping }) => {
      const nc = app.get<NatsConnection>(NATS);
      const sizes = {
        maxBytes: settings.streamMaxBytes,
        maxAgeMs: settings.streamMaxAgeDays * DAY_MS,
        replicas: settings.streamReplicas,
      };
      await declareStream(nc, 'COMMANDS', sizes, log);
      await declareStream(nc, 'DEAD_LETTERS', sizes, log);
      await app.get(InteractionConsumer).start(app.get<AccountDirectory>(ACCOUNTS), settings.planBatch, stopping);
    },
    stop: (app) => app.get(InteractionConsumer).stop(),
  });
}
