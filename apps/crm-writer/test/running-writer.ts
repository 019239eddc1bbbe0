import { randomId, systemClock } from '#clock';
import type { WrittenAccount } from '#contracts';
import { limitsOf } from '#limits';
import { silentLog } from '#telemetry';
import { AccountWriter } from '../src/account.writer.js';
import { CallMaker } from '../src/call.maker.js';
import type { QuotaClient } from '../src/quota.client.js';
import { SimulatedQuotaClient, type SimulatedQuotaOptions } from '../src/simulated.quota-client.js';
import type { WriteStore } from '../src/write.store.js';
import type { Crm } from '../src/zendesk/crm.js';
import { UndiciCrm } from '../src/zendesk/undici-crm.js';

export interface Seams {
  readonly store: WriteStore;
  readonly quota: QuotaClient;
  readonly crm: Crm;
}

export interface RunningWriter {
  readonly writer: AccountWriter;
  readonly quota: SimulatedQuotaClient;
  /** In order: what is under way is waited for. */
  stop(): Promise<void>;
  /** Without waiting for anything, as after kill -9. */
  abandon(): Promise<void>;
}

/** The writer of one account over real Postgres and HTTP, with a ledger in memory. `through` may stand between it and its seams. */
export function startWriter(
  account: WrittenAccount,
  store: WriteStore,
  limits: Partial<SimulatedQuotaOptions> = {},
  through: (seams: Seams) => Seams = (seams) => seams,
): RunningWriter {
  const ended = new AbortController();
  const quota = new SimulatedQuotaClient({ clock: systemClock, newId: randomId, validForMs: 200, ...limits });
  const door = new UndiciCrm({
    crm: account.crm,
    clock: systemClock,
    userAgent: 'sluice/test',
    secret: () => 'secret',
    maxConnections: 16,
  });
  const seams = through({ store, quota, crm: door });
  const shared = {
    ...seams,
    clock: systemClock,
    newId: randomId,
    random: () => 0,
    log: silentLog,
    ended: ended.signal,
  };
  const { timeScale, requestTimeoutMs } = account.crm;
  const maker = new CallMaker({
    ...shared,
    account: account.name,
    limits: limitsOf(account),
    timeScale,
    requestTimeoutMs,
  });
  const bounds = { maxCallsInFlight: 8, maxSubmissionsInFlight: 2 };
  const writer = new AccountWriter({ ...shared, config: account, maker, bounds });
  const done = writer.run();
  return {
    writer,
    quota,
    stop: async () => {
      ended.abort();
      await done;
      await door.close();
    },
    abandon: async () => {
      ended.abort();
      await door.close();
    },
  };
}
