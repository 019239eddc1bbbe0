import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { request } from 'undici';
import { type Command, encodeEnvelope, type Outcome, parseOutcome, subjects } from '#contracts';
import { closeNats, connectNats, declareStream, publishAccount, readStream, StreamPublisher } from '#jetstream';
import { HealthModule, silentLog } from '#telemetry';
import { type TestNats, testNats, type TestPostgres, testPostgres } from '../../../test/support/servers.js';
import { until } from '../../../test/support/until.js';
import { comment, config, NOBODY, ticket } from '../test/commands.js';
import { SmallCrm } from '../test/small-crm.js';
import { AccountWriters } from './account.writers.js';
import { CommandConsumer } from './command.consumer.js';
import { CrmWriterModule } from './crm-writer.module.js';
import type { CrmWriterSettings } from './crm-writer.settings.js';
import { OutcomePublisher } from './outcome.publisher.js';
import type { AccountStatus, AgentView } from './status.controller.js';

const SIZES = { maxBytes: 33_554_432, maxAgeMs: 3_600_000, replicas: 1 };

describe('the CRM writer as a service', () => {
  let nats: TestNats;
  let postgres: TestPostgres;
  let crm: SmallCrm;
  let nc: NatsConnection;
  let publisher: StreamPublisher;
  let folder: string;
  const apps = new Set<NestFastifyApplication>();
  let first: { app: NestFastifyApplication; url: string };

  beforeAll(async () => {
    [nats, postgres] = await Promise.all([testNats({ own: true }), testPostgres()]);
    crm = new SmallCrm();
    folder = mkdtempSync(path.join(tmpdir(), 'crm-writer-'));
    writeFileSync(path.join(folder, 'token'), 'secret\n');
    nc = await connectNats({ servers: nats.url, name: 'test' });
    publisher = new StreamPublisher(nc);
    for (const name of ['COMMANDS', 'OUTCOMES', 'DEAD_LETTERS'] as const) await declareStream(nc, name, SIZES);
    const base = config(await crm.listen());
    const credential = { kind: 'oauth', tokenRef: `file:${path.join(folder, 'token')}` } as const;
    await publishAccount(nc, { version: 1, config: { ...base, crm: { ...base.crm, credential } } });
    standInForLedger();
    first = await startService();
  });

  afterAll(async () => {
    for (const app of apps) await app.close();
    publisher?.close();
    if (nc) await closeNats(nc);
    await crm?.close();
    await postgres?.drop();
    await nats?.stop();
    if (folder) rmSync(folder, { recursive: true, force: true });
  });

  /** Grants everything, as a ledger without limits would. */
  function standInForLedger(): void {
    let grants = 0;
    const granted = {
      answer: 'granted',
      calls: 1,
      sendInMs: 0,
      validForMs: 1_000,
      settleWithinMs: 5_000,
      holdIds: [],
      remaining: [],
    };
    nc.subscribe('quota.v1.acme.ccai.*', {
      callback: (_error, msg) => {
        const verb = msg.subject.split('.').at(-1);
        msg.respond(
          JSON.stringify(verb === 'acquire' ? { ...granted, grantId: `g${(grants += 1)}` } : { answer: `${verb}d` }),
        );
      },
    });
  }

  async function startService(
    more: Partial<CrmWriterSettings> = {},
  ): Promise<{ app: NestFastifyApplication; url: string }> {
    const settings: CrmWriterSettings = {
      httpHost: '127.0.0.1',
      httpPort: 0,
      logLevel: 'info',
      natsUrl: nats.url,
      natsUser: '',
      natsPassword: '',
      postgresUrl: postgres.url,
      postgresPoolSize: 10,
      streamMaxBytes: SIZES.maxBytes,
      streamMaxAgeDays: 1,
      streamReplicas: 1,
      statusToken: '',
      intakeBatch: 100,
      maxCallsInFlight: 8,
      maxSubmissionsInFlight: 2,
      keepSent: 60_000,
      ...more,
    };
    const tools = {
      log: { ...silentLog, log: () => undefined, fatal: () => undefined, verbose: () => undefined },
      stopping: new AbortController().signal,
    };
    const testing = await Test.createTestingModule({
      imports: [HealthModule.register(), CrmWriterModule.register(settings, tools)],
    }).compile();
    const app = testing.createNestApplication<NestFastifyApplication>(new FastifyAdapter(), { logger: false });
    await app.listen(0, '127.0.0.1');
    app.get(OutcomePublisher).start();
    app.get(CommandConsumer).start(settings.intakeBatch);
    apps.add(app);
    return { app, url: await app.getUrl() };
  }

  async function send(...commands: Command[]): Promise<void> {
    for (const one of commands)
      await publisher.publish(
        subjects.command(one.account, one.data.interactionId, one.type),
        encodeEnvelope(one),
        `${one.account}.${one.id}`,
      );
  }

  const outcomes = (): Promise<Outcome[]> => readStream(nc, 'OUTCOMES', parseOutcome);

  const get = async <T>(
    url: string,
    where: string,
    headers: Record<string, string> = {},
  ): Promise<{ status: number; body: T }> => {
    const { statusCode, body } = await request(`${url}${where}`, { headers });
    return { status: statusCode, body: (await body.json()) as T };
  };

  it('carries commands from the stream to the CRM, and tells what came of each', async () => {
    const commands = [
      ticket('call-1', { contact: { ...NOBODY, phone: '+491' } }),
      comment('call-1', 'more', true),
      ticket('chat-1'),
    ];
    await send(...commands);
    await until('three outcomes', async () => (await outcomes()).length === 3);
    expect((await outcomes()).map(({ type, data }) => `${data.commandId} ${type}`).toSorted()).toEqual(
      commands.map(({ id }) => `${id} done`).toSorted(),
    );
    expect(crm.tickets.size).toBe(2);
  });

  it('shows an agent the ticket, and everybody how things stand', async () => {
    const made = [...crm.tickets.values()].find(({ external_id: id }) => id === 'ccai-call-1')!;
    const view = await get<AgentView>(first.url, '/v1/accounts/acme/interactions/call-1');
    expect(view).toMatchObject({
      status: 200,
      body: { ticketId: made.id, state: 'done', commands: [{ state: 'done' }, { state: 'done' }] },
    });
    expect(view.body.url).toMatch(new RegExp(`/agent/tickets/${made.id}$`));
    const status = await get<AccountStatus>(first.url, '/v1/accounts/acme/status');
    expect(status).toMatchObject({
      status: 200,
      body: {
        writes: { waiting: 0, sent: 0, unknown: 0, done: 3, parked: 0 },
        oldestWaitingAgeMs: null,
        calls: { 'tickets.create': 2, 'users.search': 1, 'users.create': 1 },
        owned: true,
        closed: null,
      },
    });
    expect(status.body.callsSaved).toBe(3 - status.body.writeCalls);
  });

  it('knows no other accounts and interactions', async () => {
    expect((await get(first.url, '/v1/accounts/other/status')).status).toBe(404);
    expect((await get(first.url, '/v1/accounts/acme/interactions/call-9')).status).toBe(404);
  });

  it('puts aside what is no command, and goes on', async () => {
    await publisher.publish('commands.v1.acme.call-1.addComment', new TextEncoder().encode('{'), 'bad-1');
    const unusable = comment('call-1', 'x');
    await send({ ...unusable, data: { ...unusable.data, priority: 'soon' as never } }, ticket('call-2'));
    await until('a fourth outcome', async () => (await outcomes()).length === 4);
    const streams = await jetstreamManager(nc);
    await until('two dead letters', async () => (await streams.streams.info('DEAD_LETTERS')).state.messages === 2);
    expect(crm.tickets.size).toBe(3);
  });

  it('leaves an account to one replica, and takes over when that is gone', async () => {
    const second = await startService({ statusToken: 'open sesame' });
    const asked = { authorization: 'Bearer open sesame' };
    const owned = async (): Promise<boolean> =>
      (await get<AccountStatus>(second.url, '/v1/accounts/acme/status', asked)).body.owned;
    await until('the account to be known', async () => second.app.get(AccountWriters).standing('acme') !== null);
    expect(await owned()).toBe(false);
    await first.app.close();
    apps.delete(first.app);
    await until('the second replica to own the account', owned);
    await send(comment('call-2', 'written by the second'));
    await until('a fifth outcome', async () => (await outcomes()).length === 5);
    expect((await get(second.url, '/v1/accounts/acme/status')).status).toBe(401);
    expect((await get(second.url, '/v1/accounts/acme/status', { authorization: 'Bearer open sesamE' })).status).toBe(
      401,
    );
  });
});
