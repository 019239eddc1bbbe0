import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { NatsConnection } from '@nats-io/transport-node';
import pg from 'pg';
import { PARTITIONS, partitionOf } from '../../apps/quota-ledger/src/domain/partition.js';
import { STALLED_MS } from '../../apps/quota-ledger/src/ledger.owner.js';
import { type AccountName, isoOf, subjects, type UsageAnswer } from '#contracts';
import { type App, type Stack, startStack } from '#embedded';
import { connectNats } from '#jetstream';
import { type SilentPath, silentPath } from '../support/silent-path.js';
import { until } from '../support/until.js';
import { type Asked, type QuotaLoad, startQuotaLoad } from './quota-load.js';

const START_LIMIT_MS = 60_000;
const TEST_LIMIT_MS = 60_000;
const REJOIN_LIMIT_MS = 15_000;
/** A fault is followed by takeover in this time, from when the partitions are free. */
const TAKEOVER_LIMIT_MS = 3_000;
/** Looks are a second apart, and two are needed. */
const DETECTION_LIMIT_MS = STALLED_MS + 3_000;
const TIME_SCALE = 10;
const MINUTE_MS = 60_000 / TIME_SCALE;
const TIGHT_MAX = 25;

/** One account in each partition; every other one has less than it asks for. */
const ACCOUNTS: readonly AccountName[] = Array.from({ length: PARTITIONS }, (_, partition) => {
  for (let n = 0; ; n += 1) if (partitionOf(`a${n}`) === partition) return `a${n}`;
});
const TIGHT = ACCOUNTS.filter((_, index) => index % 2 === 1);

function accountsYaml(): string {
  return `accounts:\n${ACCOUNTS.map(
    (name) => `  ${name}:
    crm:
      type: zendesk
      baseUrl: 'http://127.0.0.1:1'
      licence: enterprise
      timeScale: ${TIME_SCALE}
      credential: { kind: apiToken, email: sluice@example.com, tokenRef: 'env:FLOW_CRM_TOKEN' }
    quota: { liveReserve: 0% }
${TIGHT.includes(name) ? `    limits: { minute: { max: ${TIGHT_MAX} } }\n` : ''}    integrations:
      ccai: {}
      reporting: {}
`,
  ).join('')}`;
}

/** What came after a fault, ms from it. */
interface Measured {
  readonly partitions: number;
  /** The first partition has its next owner. */
  readonly detectedInMs: number;
  /** Every account of its partitions has had an answer of the next owner. */
  readonly answeredInMs: number;
}

describe('replicas of the quota-ledger, under load', () => {
  let stack: Stack;
  let database: pg.Client;
  let operator: NatsConnection;
  let toPostgres: SilentPath;
  let toNats: SilentPath;
  let load: QuotaLoad;
  /** The one that everything befalls. */
  let victim: App;
  const startedAtMs = Date.now();
  const measured: Record<string, Measured> = {};

  beforeAll(async () => {
    stack = await startStack({
      dataDir: mkdtempSync(join(tmpdir(), 'sluice-replicas-')),
      persistent: false,
      durable: false,
      accountsYaml,
      simulator: null,
      apps: ['quota-ledger'],
      env: { FLOW_CRM_TOKEN: 'unused' },
    });
    await connectDatabase();
    operator = await connectNats({ servers: stack.nats.url, name: 'operator', ...stack.credentials('operator') });
    toPostgres = await silentPath(stack.postgres.port);
    toNats = await silentPath(stack.nats.port);
    const url = new URL(stack.postgres.url);
    url.port = String(toPostgres.port);
    const urlFile = join(mkdtempSync(join(tmpdir(), 'sluice-path-')), 'postgres-url');
    writeFileSync(urlFile, url.href, { mode: 0o600 });
    const env = { POSTGRES_URL_FILE: urlFile, NATS_URL: `nats://127.0.0.1:${toNats.port}` };
    victim = await stack.startAnother('quota-ledger', env);
    load = await startQuotaLoad(stack, ACCOUNTS);
    await shared(4, 4);
  }, START_LIMIT_MS);

  afterAll(async () => {
    if (victim && !victim.hasExited()) process.kill(victim.pid, 'SIGCONT');
    await load?.stop().catch(() => undefined);
    await operator?.close();
    await database?.end();
    toPostgres?.close();
    toNats?.close();
    await stack?.stop();
  });

  const connectDatabase = async (): Promise<void> => {
    database = new pg.Client(stack.postgres.url);
    database.on('error', () => undefined);
    await database.connect();
  };

  /** Partitions by the session that owns them, each with its epoch and when that began. */
  const owners = async () => {
    const { rows } = await database.query<{ id: number; pid: number; epoch: string; sinceMs: string }>(
      `SELECT p.id, l.pid, p.epoch, p.owned_since_ms AS "sinceMs" FROM quota_ledger.partition p JOIN pg_locks l
         ON l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
         AND (l.classid::bigint << 32 | l.objid::bigint) = hashtextextended('sluice quota-ledger partition ' || p.id, 0)`,
    );
    return rows.map(({ id, pid, epoch, sinceMs }) => ({ id, pid, epoch: Number(epoch), sinceMs: Number(sinceMs) }));
  };

  /** Resolves when so many sessions own so many partitions each, and every account was decided about since. */
  const shared = async (...sizes: number[]): Promise<void> => {
    await until(
      `partitions are shared ${sizes.join(' to ')}`,
      async () => {
        const bySession = new Map<number, number>();
        for (const { pid } of await owners()) bySession.set(pid, (bySession.get(pid) ?? 0) + 1);
        const found = [...bySession.values()].toSorted((a, b) => a - b);
        return found.join() === sizes.toSorted((a, b) => a - b).join();
      },
      REJOIN_LIMIT_MS,
    );
    await decidedSince(Date.now(), ACCOUNTS);
  };

  /** Each account's first decision about what was asked after an instant. */
  const decidedSince = (sinceMs: number, accounts: readonly AccountName[]): Promise<Asked[]> =>
    until(
      `every account is decided about: ${accounts.join(' ')}`,
      () => {
        const first = accounts.map((account) =>
          load.asked.find((one) => one.account === account && one.decidedAtMs >= sinceMs),
        );
        return first.every((one) => one !== undefined) ? (first as Asked[]) : null;
      },
      REJOIN_LIMIT_MS,
    );

  /** Does something to the victim and waits until others decide for all that it had. */
  const befalls = async (name: string, partitions: number, fault: () => Promise<unknown> | void): Promise<void> => {
    const before = new Map((await owners()).map(({ id, epoch }) => [id, epoch]));
    const faultAtMs = Date.now();
    await fault();
    const taken = await until(
      `${partitions} partitions have another owner`,
      async () => {
        const found = (await owners().catch(() => [])).filter(({ id, epoch }) => epoch > (before.get(id) ?? 0));
        return found.length >= partitions ? found : null;
      },
      REJOIN_LIMIT_MS,
    );
    const answered = await Promise.all(
      taken.map(({ id, sinceMs }) =>
        decidedSince(
          sinceMs,
          ACCOUNTS.filter((account) => partitionOf(account) === id),
        ),
      ),
    );
    measured[name] = {
      partitions: taken.length,
      detectedInMs: Math.min(...taken.map(({ sinceMs }) => sinceMs)) - faultAtMs,
      answeredInMs: Math.max(...answered.flat().map(({ decidedAtMs }) => decidedAtMs)) - faultAtMs,
    };
  };

  /** The victim's: it was opened last. */
  const victimsSession = async (): Promise<number> => {
    const { rows } = await database.query<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity WHERE application_name = 'quota-ledger owner' ORDER BY backend_start DESC LIMIT 1`,
    );
    return rows[0]!.pid;
  };

  const expectQuick = (name: string): void => {
    const { detectedInMs, answeredInMs } = measured[name]!;
    expect(answeredInMs - detectedInMs).toBeLessThan(TAKEOVER_LIMIT_MS);
    expect(detectedInMs).toBeLessThan(DETECTION_LIMIT_MS);
  };

  it(
    'is taken over from where one is killed',
    async () => {
      await befalls('kill -9', 4, () => victim.kill9());
      await victim.restart();
      await shared(4, 4);
      expectQuick('kill -9');
    },
    TEST_LIMIT_MS,
  );

  it(
    'is taken over from where a session is ended, which joins again at once',
    async () => {
      const pid = await victimsSession();
      await befalls('session ended', 4, () => database.query('SELECT pg_terminate_backend($1)', [pid]));
      await shared(4, 4);
      expectQuick('session ended');
    },
    TEST_LIMIT_MS,
  );

  it(
    'is taken over from where a process stands still; it commits nothing when it goes on, and joins again',
    async () => {
      const pid = await victimsSession();
      await befalls('SIGSTOP', 4, () => void process.kill(victim.pid, 'SIGSTOP'));
      expect((await owners()).map((one) => one.pid)).not.toContain(pid);
      process.kill(victim.pid, 'SIGCONT');
      await shared(4, 4);
      expectQuick('SIGSTOP');
      const { rows } = await database.query<{ wrong: string }>(
        `SELECT count(*) AS wrong FROM (
         SELECT epoch, lag(epoch) OVER (PARTITION BY partition ORDER BY seq) AS before FROM quota_ledger.journal
       ) AS turn WHERE epoch < before`,
      );
      expect(rows).toEqual([{ wrong: '0' }]);
    },
    TEST_LIMIT_MS,
  );

  it(
    'is taken over from where the way to the database falls silent',
    async () => {
      await befalls('database cut off', 4, () => toPostgres.cut());
      toPostgres.mend();
      await shared(4, 4);
      expectQuick('database cut off');
    },
    TEST_LIMIT_MS,
  );

  it(
    'is given up where the way to NATS falls silent',
    async () => {
      await befalls('NATS cut off', 4, () => toNats.cut());
      toNats.reset();
      await shared(4, 4);
      expectQuick('NATS cut off');
    },
    TEST_LIMIT_MS,
  );

  it(
    'is shared with a third, and taken back from it',
    async () => {
      const third = await stack.startAnother('quota-ledger');
      await shared(2, 3, 3);
      await befalls('stopped in order', 2, () => third.stop());
      await shared(4, 4);
      expectQuick('stopped in order');
    },
    TEST_LIMIT_MS,
  );

  it(
    'goes on after Postgres was restarted',
    async () => {
      await befalls('Postgres restarted', PARTITIONS, async () => {
        await database.end();
        await stack.postgres.stop();
        await stack.postgres.restart();
        await connectDatabase();
      });
      await shared(4, 4);
      expectQuick('Postgres restarted');
    },
    TEST_LIMIT_MS,
  );

  it(
    'gave every request one grant, exceeded no limit, and counted exactly what was granted',
    async () => {
      await load.stop();
      const { asked, grantsByRequest } = load;
      for (const [requestId, grants] of grantsByRequest) expect([requestId, grants.size]).toEqual([requestId, 1]);
      const granted = asked.filter(({ grantId }) => grantId !== null);
      expect(new Set(granted.map(({ grantId }) => grantId)).size).toBe(granted.length);
      const told = await database.query<{ account: string; granted: string; requests: string }>(
        `SELECT event ->> 'account' AS account, count(*) AS granted, count(DISTINCT entry ->> 'requestId') AS requests
       FROM quota_ledger.journal, json_array_elements(events::json) AS event, json_array_elements(event -> 'entries') AS entry
       WHERE event ->> 'event' = 'granted' GROUP BY 1`,
      );
      for (const { account, granted: grants, requests } of told.rows) {
        expect([account, Number(grants)]).toEqual([account, granted.filter((one) => one.account === account).length]);
        expect([account, requests]).toEqual([account, grants]);
      }
      for (const account of TIGHT) {
        const perWindow = new Map<number, number>();
        for (const { calledAtMs } of asked.filter((one) => one.account === account && one.calledAtMs !== null)) {
          const window = Math.floor(calledAtMs! / MINUTE_MS);
          perWindow.set(window, (perWindow.get(window) ?? 0) + 1);
        }
        expect(Math.max(...perWindow.values())).toBeLessThanOrEqual(TIGHT_MAX);
        expect(perWindow.size).toBeGreaterThan(3);
      }
      for (const account of ACCOUNTS) {
        const body = JSON.stringify({ per: 'minute', from: isoOf(startedAtMs - MINUTE_MS) });
        const usage = await operator.request(subjects.usage(account), body, { timeout: 5_000 });
        const { rows } = usage.json<UsageAnswer>();
        const sum = (field: 'granted' | 'used' | 'returned' | 'expired' | 'open'): number =>
          rows.reduce((total, row) => total + row[field], 0);
        expect([account, sum('granted')]).toEqual([account, granted.filter((one) => one.account === account).length]);
        expect([account, sum('used') + sum('returned') + sum('expired')]).toEqual([account, sum('granted')]);
        expect(sum('open')).toBe(0);
      }
      process.stdout.write(
        `${JSON.stringify({ requests: asked.length, granted: granted.length, measured }, null, 1)}\n`,
      );
    },
    TEST_LIMIT_MS,
  );
});
