import type { INestApplication } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { NatsConnection } from '@nats-io/transport-node';
import { systemClock } from '#clock';
import { declareStream, durabilityNote, NATS, NatsDoors } from '#jetstream';
import { type Log, type RunningService, type ServiceTools, startService } from '#telemetry';
import { Accounts } from './account.directory.js';
import { guardCcaiDoor, readBodiesAsBytes } from './ccai.http-gate.js';
import { HttpErrorAnswer } from './http.error-answer.js';
import { IngestHandler } from './ingest.handler.js';
import { IngestModule } from './ingest.module.js';
import { type IngestSettings, ingestSettings } from './ingest.settings.js';
import { LOG } from './ingest.tokens.js';
import { MetadataFolderDuty } from './metadata-folder.duty.js';

const DAY_MS = 86_400_000;
/** Requests over NATS being answered at once. */
const MAX_NATS_REQUESTS = 4_096;

/** Runs the ingest service until a signal ends it. */
export function startIngest(): Promise<RunningService> {
  let settings: IngestSettings;
  let tools: ServiceTools;
  let duties: readonly Promise<void>[] = [];
  return startService({
    name: 'ingest',
    settings: ingestSettings,
    module: (read, given) => {
      settings = read;
      tools = given;
      return IngestModule.register(read, given);
    },
    configure: (app) => configureHttp(app, settings),
    ready: async (app) => {
      await prepare(app, settings, tools);
      duties = metadataDuties(app, settings).map((duty) => duty.run(tools.stopping));
    },
    doors: (app) => [natsDoors(app, settings, tools.log)],
    stop: async () => {
      await Promise.all(duties);
    },
  });
}

/** How HTTP is answered: errors in our form, bodies as bytes, nobody unknown. */
export function configureHttp(app: NestFastifyApplication, settings: IngestSettings): void {
  app.useGlobalFilters(app.get(HttpErrorAnswer));
  readBodiesAsBytes(app, settings.maxBodyBytes);
  guardCcaiDoor(app);
}

/** Resolves when events can be taken: the stream is there, the accounts are read. */
export async function prepare(
  app: INestApplication,
  settings: IngestSettings,
  { log, stopping }: ServiceTools,
): Promise<void> {
  const nc = app.get<NatsConnection>(NATS);
  log.info(durabilityNote(nc).note);
  const sizes = {
    maxBytes: settings.streamMaxBytes,
    maxAgeMs: settings.streamMaxAgeDays * DAY_MS,
    replicas: settings.streamReplicas,
    duplicateWindowMs: settings.duplicateWindow,
  };
  await declareStream(nc, 'INTERACTIONS', sizes, log);
  await Promise.race([app.get(Accounts).loaded, aborted(stopping)]);
}

/** The doors over NATS. */
export function natsDoors(app: INestApplication, settings: IngestSettings, log: Log): NatsDoors {
  return new NatsDoors({
    nc: app.get<NatsConnection>(NATS),
    queue: 'ingest',
    maxInFlight: MAX_NATS_REQUESTS,
    maxRequestBytes: settings.maxBodyBytes,
    log,
  });
}

/** One duty for each folder of metadata files. */
export function metadataDuties(app: INestApplication, settings: IngestSettings): readonly MetadataFolderDuty[] {
  const accounts = app.get(Accounts);
  return settings.metadataFolders.map(
    (folder) =>
      new MetadataFolderDuty({
        folder,
        ingest: app.get(IngestHandler),
        trouble: () => accounts.trouble() ?? (accounts.exists(folder.account) ? null : 'there is no such account'),
        pollMs: settings.metadataPoll,
        maxFileBytes: settings.maxBodyBytes,
        clock: systemClock,
        log: app.get<Log>(LOG),
      }),
  );
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
