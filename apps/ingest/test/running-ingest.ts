import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import type { NatsConnection } from '@nats-io/transport-node';
import { DEFAULT_POLICY } from '#accounts';
import { DEFAULT_QUOTA_POLICY, DEFAULT_SHARE, type AccountConfig } from '#contracts';
import { NATS } from '#jetstream';
import { readSettings } from '#settings';
import { HealthModule, jsonLogger } from '#telemetry';
import { IngestModule } from '../src/ingest.module.js';
import { type IngestSettings, ingestSettings } from '../src/ingest.settings.js';
import { configureHttp, natsDoors, prepare } from '../src/start-ingest.js';

/** The ingest service inside the test's process. */
export interface RunningIngest {
  readonly app: NestFastifyApplication;
  readonly url: string;
  readonly nc: NatsConnection;
  readonly settings: IngestSettings;
  stop(): Promise<void>;
}

/** Starts it on a free port; `waitUntilReady: false` leaves out waiting for the accounts. */
export async function runIngest(
  natsUrl: string,
  env: Readonly<Record<string, string>> = {},
  { waitUntilReady = true }: { readonly waitUntilReady?: boolean } = {},
): Promise<RunningIngest> {
  const settings = readSettings(ingestSettings, { NATS_URL: natsUrl, STREAM_MAX_BYTES: '67108864', ...env });
  const stopping = new AbortController();
  const log = jsonLogger('ingest', { level: 'error' });
  const tools = { log, stopping: stopping.signal };
  const testing = await Test.createTestingModule({
    imports: [HealthModule.register(), IngestModule.register(settings, tools)],
  }).compile();
  const app = testing.createNestApplication<NestFastifyApplication>(
    new FastifyAdapter({ forceCloseConnections: true }),
    { logger: false },
  );
  configureHttp(app, settings);
  const doors = natsDoors(app, settings, log);
  app.connectMicroservice({ strategy: doors }, { inheritAppConfig: true });
  await app.listen(0, '127.0.0.1');
  if (waitUntilReady) await prepare(app, settings, tools);
  await app.startAllMicroservices();
  return {
    app,
    url: await app.getUrl(),
    nc: app.get<NatsConnection>(NATS),
    settings,
    stop: async () => {
      stopping.abort();
      await doors.close();
      await app.close();
    },
  };
}

/** An account that takes CCAI's events as `ccai` with the password in the file named. */
export function accountOf(name: string, passwordRef: string): AccountConfig {
  return {
    name,
    crm: {
      type: 'zendesk',
      baseUrl: 'http://127.0.0.1:1',
      credential: { kind: 'oauth', tokenRef: 'env:NONE' },
      licence: 'team',
      externalIdPrefix: 'ccai-',
      timeScale: 1,
      requestTimeoutMs: 1_000,
    },
    limits: [],
    batching: 'auto',
    quota: DEFAULT_QUOTA_POLICY,
    dryRun: false,
    integrations: {
      ccai: { ingest: { username: 'ccai', passwordRef }, trusted: true, share: DEFAULT_SHARE, quotaPasswordRef: null },
    },
    policy: DEFAULT_POLICY,
  };
}
