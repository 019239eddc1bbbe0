import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { NatsConnection, Subscription } from '@nats-io/transport-node';
import { request } from 'undici';
import { parseAccounts } from '#accounts';
import type { AccountConfig } from '#contracts';
import { connectNats, natsModule, publishAccount } from '#jetstream';
import { HealthModule, silentLog } from '#telemetry';
import { type TestNats, testNats } from '../../../test/support/servers.js';
import { until } from '../../../test/support/until.js';
import { QuotaHttpModule } from './quota-http.module.js';
import { guardQuotaDoor, MAX_BODY_BYTES } from './quota.http-gate.js';
import { QuotaHttpUsers } from './quota.http-users.js';

const PASSWORD = 'a password';
const ACCOUNTS = `accounts:
  demo:
    crm:
      type: zendesk
      baseUrl: 'http://127.0.0.1:8080'
      licence: team
      credential: { kind: apiToken, email: sluice@example.com, tokenRef: 'env:DEMO_ZENDESK_TOKEN' }
    integrations:
      ccai: {}
      reporting: { quota: { passwordRef: 'env:QUOTA_HTTP_SPEC_PASSWORD' } }
      broken: { quota: { passwordRef: 'env:QUOTA_HTTP_SPEC_ABSENT' } }
`;

interface Answer {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly body: Record<string, unknown>;
}

describe('the quota protocol over HTTP', () => {
  let nats: TestNats;
  let ledger: NatsConnection;
  let app: INestApplication;
  let url: string;
  let doors: Subscription[] = [];

  beforeAll(async () => {
    process.env['QUOTA_HTTP_SPEC_PASSWORD'] = PASSWORD;
    const parsed = parseAccounts(ACCOUNTS);
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
    nats = await testNats({ accounts: parsed.accounts });
    // The owner, in another process: same user, another connection.
    ledger = await connectNats({ servers: nats.url, name: 'owner', ...nats.credentials('quota-ledger') });
    ({ app, url } = await startHttp());
    expect((await post('integrations/reporting/acquire', {})).body).toMatchObject({ code: 'accounts_not_loaded' });
    await publish(parsed.accounts);
    await until('the accounts are read', () => app.get(QuotaHttpUsers).trouble() === null);
  });

  afterAll(async () => {
    await app?.close();
    await ledger?.close();
    await nats?.stop();
  });

  afterEach(() => {
    for (const door of doors.splice(0)) door.unsubscribe();
  });

  async function publish(accounts: readonly AccountConfig[]): Promise<void> {
    for (const config of accounts) await publishAccount(ledger, { version: 1, config });
  }

  async function startHttp(): Promise<{ app: INestApplication; url: string }> {
    const connection = natsModule({
      servers: nats.url,
      ...nats.credentials('quota-ledger'),
      name: 'http',
      log: silentLog,
    });
    const root = {
      module: class Root {},
      imports: [HealthModule.register(), connection, QuotaHttpModule.register(silentLog)],
    };
    const made = await NestFactory.create<NestFastifyApplication>(root, new FastifyAdapter(), { logger: false });
    guardQuotaDoor(made);
    await made.listen(0, '127.0.0.1');
    return { app: made, url: await made.getUrl() };
  }

  /** Answers what comes over NATS by this; tells what came. */
  async function owner(subject: string, answer: (body: unknown) => object): Promise<unknown[]> {
    const asked: unknown[] = [];
    const callback = (_error: Error | null, msg: { json<T>(): T; respond(data: string): boolean }): void => {
      const body = msg.json<unknown>();
      asked.push(body);
      msg.respond(JSON.stringify(answer(body)));
    };
    doors.push(ledger.subscribe(subject, { callback }));
    await ledger.flush();
    return asked;
  }

  const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;
  const MINE = { authorization: basic(`demo.reporting:${PASSWORD}`), 'content-type': 'application/json' };

  async function ask(
    method: 'GET' | 'POST',
    path: string,
    body: string | Buffer | null,
    headers: Record<string, string> = MINE,
  ): Promise<Answer> {
    const answer = await request(`${url}/v1/accounts/${path}`, { method, headers, body });
    const told = answer.headers['retry-after'];
    return {
      status: answer.statusCode,
      retryAfter: Array.isArray(told) ? told[0] : told,
      body: (await answer.body.json()) as Record<string, unknown>,
    };
  }
  const post = (path: string, body: unknown, headers = MINE): Promise<Answer> =>
    ask('POST', `demo/${path}`, JSON.stringify(body), headers);

  it('takes a request to whoever owns the ledger, and its answer back', async () => {
    const asked = await owner('quota.v1.demo.reporting.acquire', () => ({ answer: 'granted', grantId: 'g1' }));
    const body = { requestId: 'r', kind: 'other', calls: { min: 1, max: 2 } };
    expect(await post('integrations/reporting/acquire', body)).toEqual({
      status: 200,
      retryAfter: undefined,
      body: { answer: 'granted', grantId: 'g1' },
    });
    expect(asked).toEqual([body]);
  });

  it.each(['settle', 'cancel', 'hold', 'release', 'observe'])('knows %s', async (verb) => {
    const asked = await owner(`quota.v1.demo.reporting.${verb}`, () => ({ answer: verb }));
    expect(await post(`integrations/reporting/${verb}`, { requestId: 'r' })).toMatchObject({ status: 200 });
    expect(asked).toEqual([{ requestId: 'r' }]);
  });

  it('tells a refusal by 429 and a rejection by its code, with the answer as it is', async () => {
    const refused = { answer: 'refused', limit: 'minute', reason: 'limit_reached', retryInMs: 1_500, eta: {} };
    const answers: object[] = [refused, { answer: 'rejected', code: 'request_id_reused', message: 'x' }];
    await owner('quota.v1.demo.reporting.acquire', () => answers.shift()!);
    expect(await post('integrations/reporting/acquire', {})).toEqual({ status: 429, retryAfter: '2', body: refused });
    expect(await post('integrations/reporting/acquire', {})).toMatchObject({ status: 409, retryAfter: undefined });
  });

  it('is unavailable where nobody owns the ledger', async () => {
    expect(await post('integrations/reporting/acquire', { requestId: 'r' })).toMatchObject({
      status: 503,
      retryAfter: '1',
      body: { answer: 'unavailable', code: 'unavailable', retryInMs: 1_000 },
    });
  });

  it('shows usage and forecast, by GET or POST, as the one who asks', async () => {
    const usages = await owner('quota.v1.demo.usage', () => ({ answer: 'usage' }));
    const forecasts = await owner('quota.v1.demo.forecast', () => ({ answer: 'forecast' }));
    expect(await ask('GET', 'demo/usage?per=minute', null)).toMatchObject({ status: 200, body: { answer: 'usage' } });
    expect(await post('usage', { per: 'hour' })).toMatchObject({ status: 200 });
    expect(await ask('GET', 'demo/forecast?kind=other&calls=3&priority=live', null)).toMatchObject({ status: 200 });
    expect(await post('forecast', { integration: 'ccai', kind: 'other' })).toMatchObject({ status: 200 });
    expect(usages).toEqual([{ per: 'minute' }, { per: 'hour' }]);
    expect(forecasts).toEqual([
      { integration: 'reporting', kind: 'other', calls: 3, priority: 'live' },
      { integration: 'ccai', kind: 'other' },
    ]);
  });

  it.each([
    ['without credentials', 'demo/integrations/reporting/acquire', ''],
    ['with a wrong password', 'demo/integrations/reporting/acquire', 'demo.reporting:wrong'],
    ['as another integration', 'demo/integrations/ccai/acquire', `demo.reporting:${PASSWORD}`],
    ['as one without a password', 'demo/integrations/ccai/acquire', 'demo.ccai:'],
    ['of another account', 'globex/integrations/reporting/acquire', `demo.reporting:${PASSWORD}`],
    ['of an account that there isn’t', 'nobody/usage', 'nobody.reporting:x'],
    ['of another account’s books', 'globex/usage', `demo.reporting:${PASSWORD}`],
    ['spelt otherwise', '%64emo/integrations/%63cai/acquire', `demo.reporting:${PASSWORD}`],
  ])('is closed to whoever asks %s, always by the same answer', async (_who, path, credentials) => {
    const asked = await owner('quota.v1.>', () => ({ answer: 'granted' }));
    const headers = { ...MINE, authorization: basic(credentials) };
    expect(await ask('POST', path, '{}', headers)).toEqual({
      status: 401,
      retryAfter: undefined,
      body: {
        answer: 'rejected',
        code: 'bad_credentials',
        message: 'unknown account or integration, or wrong user name or password',
      },
    });
    expect(asked).toEqual([]);
  });

  it('says that it can’t compare a password that can’t be read', async () => {
    const headers = { ...MINE, authorization: basic('demo.broken:x') };
    expect(await post('integrations/broken/acquire', {}, headers)).toMatchObject({
      status: 503,
      body: { code: 'credentials_unreadable' },
    });
  });

  it('rejects what it can’t read, each by its own code', async () => {
    const path = 'demo/integrations/reporting/acquire';
    for (const body of ['{', '[]', 'null', '', Buffer.from([0x7b, 0xff, 0x7d])])
      expect(await ask('POST', path, body)).toMatchObject({ status: 400, body: { code: 'malformed_json' } });
    const text = { ...MINE, 'content-type': 'text/plain' };
    expect(await ask('POST', path, '{}', text)).toMatchObject({ status: 415, body: { code: 'wrong_content_type' } });
    const large = JSON.stringify({ requestId: 'x'.repeat(MAX_BODY_BYTES) });
    expect(await ask('POST', path, large)).toMatchObject({ status: 413, body: { code: 'body_too_large' } });
    expect(await post('integrations/reporting/steal', {})).toMatchObject({ status: 404, body: { code: 'not_found' } });
    expect(await ask('GET', 'demo/secrets', null)).toMatchObject({ status: 404, body: { code: 'not_found' } });
  });
});
