import type { INestApplication } from '@nestjs/common';
import type { NatsConnection } from '@nats-io/transport-node';
import { declareStream, durabilityNote, NATS } from '#jetstream';
import { type RunningService, type ServiceTools, startService } from '#telemetry';
import { readAccountsFile } from './accounts-file.js';
import { LedgerDoors } from './ledger.doors.js';
import { LedgerOwner } from './ledger.owner.js';
import { ForecastHandler } from './forecast.handler.js';
import { QuotaHandler } from './quota.handler.js';
import { UsageHandler } from './usage.handler.js';
import { QuotaLedgerModule } from './quota-ledger.module.js';
import { guardQuotaDoor } from './quota.http-gate.js';
import { type QuotaLedgerSettings, quotaLedgerSettings } from './quota-ledger.settings.js';

const DAY_MS = 86_400_000;
/** Requests being answered at once: more than the handler lets wait, so that it is the one to say `unavailable`. */
const MAX_REQUESTS_IN_FLIGHT = 32_768;

/** Runs the quota ledger until a signal ends it. */
export function startQuotaLedger(): Promise<RunningService> {
  let settings: QuotaLedgerSettings;
  let tools: ServiceTools;
  return startService({
    name: 'quota-ledger',
    settings: quotaLedgerSettings,
    module: (read, given) => {
      settings = read;
      tools = given;
      return QuotaLedgerModule.register(read, given);
    },
    configure: guardQuotaDoor,
    ready: (app) => prepare(app, settings, tools),
    doors: (app) => [ledgerDoors(app, tools)],
    // Closes its doors itself, before the ownership is given back.
    stop: (app) => app.get(LedgerOwner).stop(),
  });
}

/** Resolves when this process owns the ledger, or another does and this one stands by. */
export async function prepare(
  app: INestApplication,
  settings: QuotaLedgerSettings,
  tools: ServiceTools,
): Promise<void> {
  const { log } = tools;
  if (settings.accountsFile !== '') readAccountsFile(settings.accountsFile, log);
  const nc = app.get<NatsConnection>(NATS);
  log.info(durabilityNote(nc).note);
  const { streamMaxBytes: maxBytes, streamMaxAgeDays, streamReplicas: replicas } = settings;
  await declareStream(nc, 'LEDGER', { maxBytes, maxAgeMs: streamMaxAgeDays * DAY_MS, replicas }, log);
  const owner = app.get(LedgerOwner);
  owner.start();
  await Promise.race([owner.settled, aborted(tools.stopping)]);
}

/** The doors over NATS. */
export function ledgerDoors(app: INestApplication, { log }: ServiceTools): LedgerDoors {
  const parts = {
    quota: app.get(QuotaHandler),
    usages: app.get(UsageHandler),
    forecasts: app.get(ForecastHandler),
    owner: app.get(LedgerOwner),
  };
  return new LedgerDoors({ nc: app.get<NatsConnection>(NATS), maxInFlight: MAX_REQUESTS_IN_FLIGHT, log }, parts);
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
