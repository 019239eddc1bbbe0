import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { NatsConnection } from '@nats-io/transport-node';
import pg from 'pg';
import { parseAccounts } from '#accounts';
import {
  type AcquireAnswer,
  type ApplyAccountsAnswer,
  type Granted,
  parseLedgerEvent,
  type SettleAnswer,
  type UsageAnswer,
} from '#contracts';
import { connectNats, readStream, watchAccounts } from '#jetstream';
import { readSettings } from '#settings';
import { HealthModule, silentLog, type JsonLogger } from '#telemetry';
import { type TestNats, testNats, type TestPostgres, testPostgres } from '../../../test/support/servers.js';
import { until } from '../../../test/support/until.js';
import { partitionOf } from './domain/partition.js';
import { LedgerOwner } from './ledger.owner.js';
import { QuotaLedgerModule } from './quota-ledger.module.js';
import { quotaLedgerSettings } from './quota-ledger.settings.js';
import { ledgerDoors, prepare } from './start-quota-ledger.js';

const ACCOUNTS = `accounts:
  demo:
    crm:
      type: zendesk
      baseUrl: 'http://127.0.0.1:8080'
      licence: team
      credential: { kind: apiToken, email: sluice@example.com, tokenRef: 'env:DEMO_ZENDESK_TOKEN' }
      requestTimeoutMs: 3000
    limits: { day: { max: 5 }, inflight-jobs: { max: 2 } }
    quota: { liveReserve: 0% }
    integrations:
      ccai: {}
      reporting: {}
`;

interface Ledger {
  stop(): Promise<void>;
}

describe('the quota ledger', () => {
  let postgres: TestPostgres;
  let nats: TestNats;
  let folder: string;
  let ledger: Ledger;
  let ccai: NatsConnection;
  let operator: NatsConnection;

  beforeAll(async () => {
    const parsed = parseAccounts(ACCOUNTS);
    if (!parsed.ok) throw new Error('the accounts are wrong');
    [postgres, nats] = await Promise.all([testPostgres(), testNats({ accounts: parsed.accounts })]);
    folder = mkdtempSync(path.join(os.tmpdir(), 'sluice-ledger-'));
    writeFileSync(path.join(folder, 'accounts.yaml'), ACCOUNTS);
    ledger = await startLedger();
    ccai = await connectAs('demo.ccai');
    operator = await connectAs('operator');
  });

  afterAll(async () => {
    await ccai?.close();
    await operator?.close();
    await ledger?.stop();
    await nats?.stop();
    await postgres?.drop();
    rmSync(folder, { recursive: true, force: true });
  });

  function connectAs(user: string): Promise<NatsConnection> {
    return connectNats({ servers: nats.url, name: user, ...nats.credentials(user) });
  }

  async function startLedger(): Promise<Ledger> {
    const { user, password } = nats.credentials('quota-ledger');
    const settings = readSettings(quotaLedgerSettings, {
      NATS_URL: nats.url,
      NATS_USER: user,
      NATS_PASSWORD: password,
      POSTGRES_URL: postgres.url,
      ACCOUNTS_FILE: path.join(folder, 'accounts.yaml'),
    });
    const stopping = new AbortController();
    const tools = { log: silentLog as JsonLogger, stopping: stopping.signal };
    const root = {
      module: class Root {},
      imports: [HealthModule.register(), QuotaLedgerModule.register(settings, tools)],
    };
    const app: INestApplication = await NestFactory.create(root, new FastifyAdapter(), {
      logger: false,
      abortOnError: false,
    });
    await prepare(app, settings, tools);
    const doors = ledgerDoors(app, tools);
    app.connectMicroservice({ strategy: doors }, { inheritAppConfig: true });
    await app.startAllMicroservices();
    return {
      stop: async () => {
        await app.get(LedgerOwner).stop();
        stopping.abort();
        await doors.close();
        await app.close();
      },
    };
  }

  async function ask<A>(nc: NatsConnection, subject: string, body: unknown): Promise<A> {
    const answer = await nc.request(subject, JSON.stringify(body), { timeout: 5_000 });
    return answer.json<A>();
  }

  function acquire(requestId: string, max = 1, kind = 'tickets.update'): Promise<AcquireAnswer> {
    return ask(ccai, 'quota.v1.demo.ccai.acquire', { requestId, kind, calls: { min: 1, max } });
  }

  it('grants, gives the same request the same grant, and settles it once', async () => {
    const granted = (await acquire('one', 2)) as Granted;
    expect(granted).toMatchObject({ answer: 'granted', calls: 2, sendInMs: 0, holdIds: [] });
    expect(granted.validForMs).toBe(10_000);
    expect(await acquire('one', 2)).toMatchObject({ answer: 'granted', grantId: granted.grantId, calls: 2 });
    const settle = {
      requestId: 'one-settled',
      grantId: granted.grantId,
      used: [{ sentAgoMs: 30, answeredAgoMs: 10 }],
      returned: 1,
    };
    const settled: SettleAnswer = await ask(ccai, 'quota.v1.demo.ccai.settle', settle);
    expect(settled).toEqual({
      answer: 'settled',
      grantId: granted.grantId,
      late: false,
      used: 1,
      returned: 1,
      expired: 0,
      open: 0,
    });
    expect(await ask(ccai, 'quota.v1.demo.ccai.settle', settle)).toEqual(settled);
    expect(await acquire('one', 2)).toMatchObject({ answer: 'granted', grantId: granted.grantId, validForMs: 0 });
  });

  it('refuses beyond the day, naming it, and counts calls in minute and day', async () => {
    expect(await acquire('rest', 9)).toMatchObject({ answer: 'granted', calls: 4 });
    expect(await acquire('more')).toMatchObject({ answer: 'refused', limit: 'day', reason: 'limit_reached' });
    for (const per of ['minute', 'hour', 'day']) {
      const usage: UsageAnswer = await ask(ccai, 'quota.v1.demo.usage', { per });
      const sum = (pick: 'granted' | 'used' | 'returned' | 'open'): number =>
        usage.rows.reduce((total, row) => total + row[pick], 0);
      expect([sum('granted'), sum('used'), sum('returned'), sum('open')]).toEqual([6, 1, 1, 4]);
      expect(usage.limits.find(({ limit }) => limit === 'day')).toMatchObject({ max: 5, remaining: 0 });
    }
  });

  it('rejects what is not understood and what can never fit, each by its own code', async () => {
    expect(await ask(ccai, 'quota.v1.demo.ccai.acquire', { requestId: 'x' })).toMatchObject({
      code: 'invalid_request',
    });
    const tooMuch = { requestId: 'y', kind: 'other', calls: { min: 6, max: 6 } };
    expect(await ask(ccai, 'quota.v1.demo.ccai.acquire', tooMuch)).toMatchObject({ code: 'never_fits' });
    const unknown = { requestId: 'z', grantId: 'nothing', used: [], returned: 1 };
    expect(await ask(ccai, 'quota.v1.demo.ccai.settle', unknown)).toMatchObject({ code: 'unknown_grant' });
  });

  it('takes over a changed file at once, publishes it, and keeps it over a restart', async () => {
    const apply = (yaml: string): Promise<ApplyAccountsAnswer> => ask(operator, 'accounts.v1.apply', { yaml });
    expect(await apply(ACCOUNTS)).toEqual({
      answer: 'applied',
      accounts: [{ account: 'demo', did: 'unchanged', version: 1 }],
    });
    const wrong = await apply(ACCOUNTS.replace('max: 5', 'max: 0'));
    expect(wrong).toMatchObject({
      code: 'invalid_accounts',
      problems: [{ line: 9, path: 'accounts.demo.limits.day.max' }],
    });
    expect(await apply(ACCOUNTS.replace('max: 5', 'max: 3'))).toMatchObject({
      accounts: [{ did: 'changed', version: 2 }],
    });
    const directory = watchAccounts(operator);
    await until('version 2 is published', () => directory.get('demo')?.version === 2);
    await directory.stop();
    await ledger.stop();
    ledger = await startLedger();
    const usage: UsageAnswer = await ask(ccai, 'quota.v1.demo.usage', {});
    expect(usage.limits.find(({ limit }) => limit === 'day')).toMatchObject({ max: 3, remaining: 0 });
    expect(await acquire('rest', 9)).toMatchObject({ answer: 'granted', calls: 4 });
  });

  it('goes on under a standby when the owner loses its database, with the same grants', async () => {
    const standby = await startLedger();
    const before = (await acquire('kept', 1, 'users.search')) as { readonly answer: string };
    expect(before.answer).toBe('refused');
    const again = (await acquire('rest', 9)) as Granted;
    const client = new pg.Client(postgres.url);
    await client.connect();
    const key = `hashtextextended('sluice quota-ledger partition ${partitionOf('demo')}', 0)`;
    const owner = `SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND classid::bigint = (${key} >> 32) & 4294967295 AND objid::bigint = ${key} & 4294967295`;
    const { rows } = await client.query(`SELECT pg_terminate_backend(pid) AS ended FROM (${owner}) AS owner`);
    expect(rows).toEqual([{ ended: true }]);
    await client.end();
    const after = await until('another owner answers', async () => {
      // No responders, or told to ask again: what a client sees between two owners.
      const answer = await acquire('rest', 9).catch(() => null);
      return answer?.answer === 'granted' ? answer : null;
    });
    expect(after.grantId).toBe(again.grantId);
    await standby.stop();
    await until(
      'the ledger answers again',
      async () => (await acquire('rest', 9).catch(() => null))?.answer === 'granted',
    );
  });

  it('tells on LEDGER everything that happened, each once', async () => {
    const told = await until('all is told', async () => {
      const messages = await readStream(operator, 'LEDGER', parseLedgerEvent);
      const entries = messages.flatMap(({ type, data }) => data.entries.map(() => `${type} ${data.integration}`));
      return entries.length >= 5 && entries;
    });
    expect(told.toSorted()).toEqual([
      'applied (account)',
      'applied (account)',
      'granted ccai',
      'granted ccai',
      'settled ccai',
    ]);
  });
});
