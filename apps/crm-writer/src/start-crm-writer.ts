import type { NatsConnection } from '@nats-io/transport-node';
import { declareStream, NATS } from '#jetstream';
import { type RunningService, startService } from '#telemetry';
import { AccountWriters } from './account.writers.js';
import { CommandConsumer } from './command.consumer.js';
import { CrmWriterModule } from './crm-writer.module.js';
import { type CrmWriterSettings, crmWriterSettings } from './crm-writer.settings.js';
import { ForgetDuty } from './forget.duty.js';
import { OutcomePublisher } from './outcome.publisher.js';

const DAY_MS = 86_400_000;

/** Runs the CRM writer until a signal ends it. */
export function startCrmWriter(): Promise<RunningService> {
  let settings: CrmWriterSettings;
  return startService({
    name: 'crm-writer',
    settings: crmWriterSettings,
    module: (read, tools) => {
      settings = read;
      return CrmWriterModule.register(read, tools);
    },
    ready: async (app, { log }) => {
      const nc = app.get<NatsConnection>(NATS);
      const sizes = {
        maxBytes: settings.streamMaxBytes,
        maxAgeMs: settings.streamMaxAgeDays * DAY_MS,
        replicas: settings.streamReplicas,
      };
      await declareStream(nc, 'OUTCOMES', sizes, log);
      await declareStream(nc, 'DEAD_LETTERS', sizes, log);
      app.get(OutcomePublisher).start();
      app.get(ForgetDuty).start();
      app.get(CommandConsumer).start(settings.intakeBatch);
    },
    stop: async (app) => {
      await app.get(CommandConsumer).stop();
      await app.get(AccountWriters).stop();
    },
  });
}
