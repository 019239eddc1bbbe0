import { spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { NatsConnection } from '@nats-io/transport-node';
import { request } from 'undici';
import { randomId, systemClock } from '#clock';
import { CALL_KINDS, type UsageAnswer } from '#contracts';
import { type App, type Stack, startStack } from '#embedded';
import { connectNats } from '#jetstream';
import { QuotaClient } from '#quota-client';
import { ROOT } from '../house/source-files.js';
import { described } from '../support/described.js';
import { until } from '../support/until.js';

const START_LIMIT_MS = 60_000;
const PASSWORD = 'protocol-test-password';
const MINUTE_MAX = 60;

/** Only what a stranger has: the addresses, and the credentials of one integration. */
describe('an integration that asks for quota', () => {
  let stack: Stack;
  let standby: App;
  let nats: NatsConnection;
  let client: QuotaClient;

  beforeAll(async () => {
    stack = await startStack({
      dataDir: mkdtempSync(join(tmpdir(), 'sluice protocol ')),
      persistent: false,
      durable: false,
      simulator: null,
      apps: ['quota-ledger'],
      env: { PROTOCOL_HTTP_PASSWORD: PASSWORD },
      accountsYaml: () => `accounts:
  demo:
    crm:
      type: zendesk
      baseUrl: http://127.0.0.1:9
      licence: team
      requestTimeoutMs: 1000
      credential: { kind: apiToken, email: sluice@example.com, tokenRef: 'env:DEMO_ZENDESK_TOKEN' }
    limits: { minute: { max: ${MINUTE_MAX} } }
    integrations:
      ccai: {}
      reporting: { quota: { passwordRef: 'env:PROTOCOL_HTTP_PASSWORD' } }
`,
    });
    standby = await stack.startAnother('quota-ledger');
    nats = await connectNats({ servers: stack.nats.url, name: 'stranger', ...stack.credentials('demo.reporting') });
    client = new QuotaClient({
      account: 'demo',
      integration: 'reporting',
      nc: nats,
      clock: systemClock,
      newId: randomId,
    });
  }, START_LIMIT_MS);

  afterAll(async () => {
    await nats?.close();
    await stack?.stop();
  });

  interface Answer {
    readonly status: number;
    readonly body: Record<string, unknown>;
  }

  async function http(at: App, path: string, body: unknown, user = 'demo.reporting'): Promise<Answer> {
    const { statusCode, body: answer } = await request(`${at.url}/v1/accounts/demo/${path}`, {
      method: 'POST',
      headers: {
        authorization: `Basic ${Buffer.from(`${user}:${PASSWORD}`).toString('base64')}`,
        'content-type': 'application/json',
      },
      body: JSON.stringify(body),
    });
    return { status: statusCode, body: described((await answer.json()) as Record<string, unknown>) };
  }

  async function usedSoFar(): Promise<number> {
    const usage = await client.usage({ per: 'day' });
    if (usage.answer !== 'usage') throw new Error(usage.answer);
    const { rows } = usage as UsageAnswer;
    return rows.reduce((sum, { integration, used }) => (integration === 'reporting' ? sum + used : sum), 0);
  }

  it('needs no more than the example in Python', async () => {
    const { error, status, stdout, stderr } = python(stack.nats.url, stack.credentials('demo.reporting').password);
    if ((error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') {
      process.stderr.write('python3 is not on this machine: examples/quota_client.py was not tried\n');
      return;
    }
    expect([status, stderr]).toEqual([0, '']);
    expect(JSON.parse(stdout)).toMatchObject({ made: 3, answer: { answer: 'settled', used: 3, returned: 0, open: 0 } });
    expect(await usedSoFar()).toBe(3);
  });

  it('is told by the example where its password is wrong, or nobody is there', () => {
    if (python(stack.nats.url, 'wrong').error) return;
    expect(python(stack.nats.url, 'wrong')).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/authorization/i),
    });
  });

  it('has its calls made by the library, and finds them in the books', async () => {
    const before = await usedSoFar();
    const wanted = { kind: 'tickets.list', calls: { min: 1, max: 5 }, waitMs: 2_000 } as const;
    const ran = await client.withCalls(wanted, async (call) => {
      if (call.call === 4 || !call.leave()) return call.notSent();
      await systemClock.sleep(5);
      call.answered({ status: 200, headers: { date: new Date().toUTCString() } });
    });
    expect(ran).toMatchObject({ answer: 'ran', settled: { answer: 'settled', used: 4, returned: 1, open: 0 } });
    expect(await usedSoFar()).toBe(before + 4);
  });

  it.each(CALL_KINDS)('may ask for %s', async (kind) => {
    const acquired = await client.acquire({ kind });
    if (acquired.answer !== 'granted') {
      expect(acquired).toMatchObject({ answer: 'refused' });
      return;
    }
    expect(await client.settle(acquired.grant.grantId, { returned: 1 })).toMatchObject({ answer: 'settled' });
  });

  it('asks the same over HTTP, at any of the ledger’s processes', async () => {
    for (const at of [stack.service('quota-ledger'), standby]) {
      const acquire = { requestId: randomId(), kind: 'other', calls: { min: 1, max: 2 } };
      // A process that has just started reads the accounts first.
      const granted = await until('it answers', async () => {
        const answer = await http(at, 'integrations/reporting/acquire', acquire);
        return answer.status === 503 ? null : answer;
      });
      expect(granted).toMatchObject({ status: 200, body: { answer: 'granted', calls: 2 } });
      const { grantId } = granted.body;
      const again = await http(at, 'integrations/reporting/acquire', acquire);
      expect(again).toMatchObject({ status: 200, body: { grantId } });
      const used = [{ sentAgoMs: 40, answeredAgoMs: 10 }];
      const settle = { requestId: randomId(), grantId, used, returned: 1 };
      expect(await http(at, 'integrations/reporting/settle', settle)).toMatchObject({
        status: 200,
        body: { answer: 'settled', used: 1, returned: 1, open: 0 },
      });
    }
    const usage = await http(standby, 'usage', { per: 'minute' });
    expect(usage).toMatchObject({ status: 200, body: { answer: 'usage' } });
  });

  it('is refused, rejected and kept out by HTTP’s own statuses', async () => {
    const ask = (body: object) => http(standby, 'integrations/reporting/acquire', { requestId: randomId(), ...body });
    expect(await ask({ kind: 'other', calls: { min: 9_999, max: 9_999 } })).toMatchObject({
      status: 422,
      body: { code: 'never_fits' },
    });
    expect(await ask({ kind: 'nonsense' })).toMatchObject({ status: 400, body: { code: 'invalid_request' } });
    const taken = await client.acquire({ kind: 'other', calls: { min: 1, max: MINUTE_MAX } });
    if (taken.answer !== 'granted') throw new Error(taken.answer);
    expect(await ask({ kind: 'other', calls: { min: MINUTE_MAX, max: MINUTE_MAX } })).toMatchObject({
      status: 429,
      body: { answer: 'refused' },
    });
    await client.settle(taken.grant.grantId, { returned: taken.grant.calls });
    expect(await http(standby, 'integrations/ccai/acquire', {})).toMatchObject({ status: 401 });
    expect(await http(standby, 'usage', {}, 'demo.ccai')).toMatchObject({ status: 401 });
  });

  it('may ask for nobody else over NATS', async () => {
    const other = new QuotaClient({
      account: 'demo',
      integration: 'ccai',
      nc: nats,
      clock: systemClock,
      newId: randomId,
    });
    expect(await other.acquire({ kind: 'other' })).toMatchObject({ answer: 'rejected', code: 'not_permitted' });
  });

  it('gets its grant from whoever takes over, under the same requestId', async () => {
    const requestId = randomId();
    const before = await client.acquire({ requestId, kind: 'other' });
    if (before.answer !== 'granted') throw new Error(before.answer);
    await stack.service('quota-ledger').kill9();
    const after = await client.acquire({ requestId, kind: 'other', waitMs: 30_000 });
    expect(after).toMatchObject({ answer: 'granted', grant: { grantId: before.grant.grantId } });
    expect(await client.settle(before.grant.grantId, { returned: 1 })).toMatchObject({ answer: 'settled' });
    await stack.service('quota-ledger').restart();
  }, 60_000);
});

function python(natsUrl: string, password: string) {
  const args = [join(ROOT, 'examples/quota_client.py'), natsUrl, 'demo.reporting', password];
  return spawnSync('python3', args, { encoding: 'utf8', timeout: 30_000 });
}
