import 'reflect-metadata';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { MessagePattern } from '@nestjs/microservices';
import { jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { parseAccounts } from '#accounts';
import type { AccountConfig } from '#contracts';
import { silentLog } from '#telemetry';
import { testNats, type TestNats } from '../../../test/support/servers.js';
import { until } from '../../../test/support/until.js';
import { publishAccount, watchAccounts } from './account-directory.js';
import { connectNats } from './connect-nats.js';
import { consume } from './consume.js';
import { declareStream } from './declare-stream.js';
import { ack, deadLetter } from './disposition.js';
import { NatsDoors } from './nats-doors.js';
import { StreamPublisher } from './stream-publisher.js';

const SIZES = { maxBytes: 64 * 1024 * 1024, maxAgeMs: 86_400_000, replicas: 1 };
const ACCOUNTS = `
accounts:
  demo:
    crm:
      type: zendesk
      baseUrl: 'http://127.0.0.1:8080'
      licence: team
      credential: { kind: apiToken, email: sluice@example.com, tokenRef: 'env:DEMO_ZENDESK_TOKEN' }
      externalIdPrefix: 'ccai-'
    integrations:
      ccai: { trusted: true }
      reporting: {}
`;
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

@Controller()
class QuotaController {
  @MessagePattern('quota.v1.*.*.acquire')
  acquire() {
    return { answer: 'granted' };
  }
}
@Module({ controllers: [QuotaController] })
class QuotaModule {}

describe('with the permissions of its own identity', () => {
  let server: TestNats;
  let config: AccountConfig;
  const connections: NatsConnection[] = [];

  beforeAll(async () => {
    const parsed = parseAccounts(ACCOUNTS);
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
    config = parsed.accounts[0] as AccountConfig;
    server = await testNats({ accounts: parsed.accounts });
  });
  afterAll(async () => {
    await Promise.all(connections.map((nc) => nc.close()));
    await server?.stop();
  });

  const as = async (user: string): Promise<NatsConnection> => {
    const nc = await connectNats({ servers: server.url, name: user, ...server.credentials(user) });
    connections.push(nc);
    return nc;
  };

  it('ingest declares and fills INTERACTIONS, the planner reads them, makes commands and puts aside the rest', async () => {
    const ingest = await as('ingest');
    const planner = await as('command-planner');
    await declareStream(ingest, 'INTERACTIONS', SIZES);
    await declareStream(planner, 'COMMANDS', SIZES);
    await declareStream(planner, 'DEAD_LETTERS', SIZES);
    const events = new StreamPublisher(ingest);
    const commands = new StreamPublisher(planner);
    const failures: unknown[] = [];
    const consumption = consume({
      nc: planner,
      stream: 'INTERACTIONS',
      durable: 'command-planner',
      maxBatch: 10,
      maxWaitMs: 5,
      ackWaitMs: 10_000,
      deadLetters: commands,
      log: { ...silentLog, error: (message, fields) => failures.push({ message, fields }) },
      handle: async (batch) => {
        await commands.publish('commands.v1.demo.call-1.addComment', bytes('c'), `c:${batch[0]?.sequence}`);
        return batch.map(({ subject }) => (subject.endsWith('.ended') ? deadLetter('planted') : ack));
      },
    });

    await events.publish('interactions.v1.demo.call-1.started', bytes('1'), 'e:1');
    await events.publish('interactions.v1.demo.call-1.ended', bytes('2'), 'e:2');

    const manager = await jetstreamManager(planner, { checkAPI: false });
    const info = () => manager.consumers.info('INTERACTIONS', 'command-planner').catch(() => null);
    const handled = await until('both are handled', async () => {
      const now = await info();
      return now && now.num_ack_pending === 0 && now.delivered.stream_seq === 2 && now;
    });
    await consumption.stop();
    expect(handled.num_pending).toBe(0);
    expect(failures).toEqual([]);
  });

  it('the ledger publishes accounts, which the other services follow', async () => {
    const ledger = await as('quota-ledger');
    const directories = (await Promise.all(['ingest', 'command-planner', 'crm-writer'].map(as))).map((nc) =>
      watchAccounts(nc),
    );

    await publishAccount(ledger, { version: 1, config });

    for (const directory of directories) {
      await directory.loaded;
      expect(directory.get('demo')?.config.crm.licence).toBe('team');
      await directory.stop();
    }
  });

  it('the ledger answers an integration, and nobody may ask as another', async () => {
    const doors = new NatsDoors({ nc: await as('quota-ledger'), queue: 'quota-ledger' });
    const app = await NestFactory.createMicroservice(QuotaModule, { strategy: doors, logger: false });
    await app.listen();
    const reporting = await as('demo.reporting');

    const answer = await reporting.request('quota.v1.demo.reporting.acquire', '{}', { timeout: 5_000 });

    expect(answer.json()).toEqual({ answer: 'granted' });
    await expect(reporting.request('quota.v1.demo.ccai.acquire', '{}', { timeout: 5_000 })).rejects.toThrow(
      /permission/i,
    );
    await app.close();
  });

  it('a publisher hears at once that it may not publish there', async () => {
    const publisher = new StreamPublisher(await as('demo.reporting'), { ackTimeoutMs: 60_000 });

    await expect(publisher.publish('interactions.v1.demo.call-1.started', bytes('1'), 'x')).rejects.toMatchObject({
      reason: 'refused',
      message: 'not permitted to publish to interactions.v1.demo.call-1.started',
    });
    publisher.close();
  });
});
