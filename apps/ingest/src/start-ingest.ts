import type { INestApplication } from '@nestjs/common';
import type { NatsConnection } from '@nats-io/transport-node';
import { systemClock } from '#clock';
import { declareStream, durabilityNote, NATS, NatsDoors } from '#jetstream';
import { type RunningService, type ServiceTools, startService } from '#telemetry';
import { Accounts } from './account.directory.js';
import { guardCcaiDoor, readBodiesAsBytes } from './ccai.http-gate.js';
import { HttpErrorAnswer } from './http.error-answer.js';
import { IngestHandler } from './ingest.handler.js';
import { IngestModule } from './ingest.module.js';
import { type IngestSettings, ingestSettings } from './ingest.settings.js';
import { MetadataFolderDuty } from './metadata-folder.duty.js';

const DAY_MS = 86_400_000;
/** Requests over NATS being answered at once. */
const MAX_NATS_REQUESTS = 4_096;

/** Runs the ingest service until a signal ends it. */
export function startIngest(): Promise<RunningService> {
  let settings: IngestSettings;
  let duties: readonly Promise<void>[] = [];
  let log: ServiceTools['log'];
  return startService({
    name: 'ingest',
    settings: ingestSettings,
    module: (read, tools) => {
      settings = read;
      log = tools.log;
      return IngestModule.register(read, tools);
    },
    configure: (app) => {
      app.useGlobalFilters(app.get(HttpErrorAnswer));
      readBodiesAsBytes(app, settings.maxBodyBytes);
      guardCcaiDoor(app);
    },
    ready: async (app, tools) => {
      const nc = app.get<NatsConnection>(NATS);
      log.info(durabilityNote(nc).note);
      await declareStream(nc, 'INTERACTIONS', sizesOf(settings), log);
      await Promise.race([app.get(Accounts).loaded, aborted(tools.stopping)]);
      duties = metadataDuties(app, settings, tools);
    },
    doors: (app) => [
      new NatsDoors({
        nc: app.get<NatsConnection>(NATS),
        queue: 'ingest',
        maxInFlight: MAX_NATS_REQUESTS,
        maxRequestBytes: settings.maxBodyBytes,
        log,
      }),
    ],
    stop: async () => {
      await Promise.all(duties);
    },
  });
}

function sizesOf(settings: IngestSettings) {
  return {
    maxBytes: settings.streamMaxBytes,
    maxAgeMs: settings.streamMaxAgeDays * DAY_MS,
    replicas: settings.streamReplicas,
    duplicateWindowMs: settings.duplicateWindow,
  };
}

function metadataDuties(
  app: INestApplication,
  settings: IngestSettings,
  { log, stopping }: ServiceTools,
): Promise<void>[] {
  const accounts = app.get(Accounts);
  const ingest = app.get(IngestHandler);
  return settings.metadataFolders.map((folder) =>
    new MetadataFolderDuty({
      folder,
      ingest,
      trouble: () => accounts.trouble() ?? (accounts.exists(folder.account) ? null : 'there is no such account'),
      pollMs: settings.metadataPoll,
      maxFileBytes: settings.maxBodyBytes,
      clock: systemClock,
      log,
    }).run(stopping),
  );
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
