import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AckPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { ACCOUNTS_BUCKET, STREAMS, type StreamName, subjects } from '#contracts';
import { type TestNats, testNats } from '../../../test/support/servers.js';
import { account } from '../test/account.js';
import { integrationIdentity } from './nats-users.js';

const ANSWER_WITHIN_MS = 2_000;
const text = (value: string): Uint8Array => new TextEncoder().encode(value);

describe("The server's permissions made from the accounts", () => {
  let nats: TestNats;
  const connections: NatsConnection[] = [];

  beforeAll(async () => {
    nats = await testNats({ accounts: [account('acme'), account('globex')] });
    // A ledger that answers each request with the subject it came by.
    const ledger = await as('quota-ledger');
    ledger.subscribe('quota.v1.>', {
      queue: 'quota-ledger',
      callback: (_error, message) => void message.respond(text(message.subject)),
    });
    await ledger.flush();
  });

  afterAll(async () => {
    await Promise.all(connections.map((connection) => connection.close()));
    await nats.stop();
  });

  async function as(user: string): Promise<NatsConnection> {
    const { password, inboxPrefix } = nats.credentials(user);
    const connection = await connect({ servers: nats.url, user, pass: password, inboxPrefix, reconnect: false });
    connections.push(connection);
    return connection;
  }

  async function isRefused(user: string, subject: string): Promise<boolean> {
    const connection = await as(user);
    const error = await connection.request(subject, text('{}'), { timeout: ANSWER_WITHIN_MS }).then(
      () => null,
      (reason: unknown) => reason,
    );
    return /permissions violation/i.test(String((error as Error | null)?.message));
  }

  /** Subscribes and asks the server whether it minded. */
  async function mayListen(user: string, subject: string): Promise<boolean> {
    const connection = await as(user);
    let refused = false;
    connection.subscribe(subject, {
      callback: (error) => {
        if (error !== null) refused = true;
      },
    });
    await connection.flush();
    return !refused;
  }

  it('let nobody in without a password', async () => {
    await expect(connect({ servers: nats.url, reconnect: false })).rejects.toThrow(/authorization/i);
    await expect(connect({ servers: nats.url, user: 'acme.ccai', pass: 'guess', reconnect: false })).rejects.toThrow(
      /authorization/i,
    );
  });

  it('let an integration ask the ledger as itself and hear the answer', async () => {
    const reporting = await as('acme.reporting');
    for (const subject of [subjects.quota('acme', 'reporting', 'acquire'), subjects.usage('acme')]) {
      const answer = await reporting.request(subject, text('{}'), { timeout: ANSWER_WITHIN_MS });
      expect(answer.string()).toBe(subject);
    }
  });

  it.each([
    ['another integration of its account', subjects.quota('acme', 'ccai', 'acquire')],
    ['an integration of another account', subjects.quota('globex', 'reporting', 'acquire')],
    ["a reader of another account's usage", subjects.usage('globex')],
    ['a source of events, having no ingest', subjects.ingest('acme', 'reporting', 'calls')],
    ['a source of events of its neighbour', subjects.ingest('acme', 'ccai', 'calls')],
    ['the operator', subjects.applyAccounts],
    ['a service that publishes', subjects.command('acme', 'call-1', 'addComment')],
    ['a reader of streams', '$JS.API.STREAM.INFO.INTERACTIONS'],
    ['a writer of accounts', `$KV.${ACCOUNTS_BUCKET}.acme`],
  ])('refuse an integration that asks as %s', async (_who, subject) => {
    expect(await isRefused('acme.reporting', subject)).toBe(true);
  });

  it('let only an integration with ingest send events, and only as itself', async () => {
    const ingest = await as('ingest');
    ingest.subscribe('ingest.v1.>', { callback: (_error, message) => void message.respond(text('taken')) });
    await ingest.flush();
    const ccai = await as('acme.ccai');
    const answer = await ccai.request(subjects.ingest('acme', 'ccai', 'calls'), text('{}'), {
      timeout: ANSWER_WITHIN_MS,
    });
    expect(answer.string()).toBe('taken');
    expect(await isRefused('acme.ccai', subjects.ingest('globex', 'ccai', 'calls'))).toBe(true);
  });

  it("keep everybody out of another's inbox", async () => {
    const { inboxPrefix } = integrationIdentity('acme', 'ccai');
    expect(await mayListen('acme.ccai', `${inboxPrefix}.>`)).toBe(true);
    for (const user of ['acme.reporting', 'globex.ccai', 'crm-writer', 'operator'])
      expect([user, await mayListen(user, `${inboxPrefix}.>`)]).toEqual([user, false]);
    for (const subject of ['_INBOX.>', '_SVC.>', '>', 'quota.v1.>', 'interactions.v1.>'])
      expect([subject, await mayListen('acme.reporting', subject)]).toEqual([subject, false]);
  });

  it('keep a service that answers from being made to publish elsewhere by a false reply subject', async () => {
    const operator = await as('operator');
    await declare(await as('command-planner'), 'COMMANDS');
    const jsm = await jetstreamManager(operator);
    const before = (await jsm.streams.info('COMMANDS')).state.last_seq;
    const reporting = await as('acme.reporting');
    const reply = subjects.command('acme', 'call-1', 'addComment');
    reporting.publish(subjects.quota('acme', 'reporting', 'acquire'), text('{}'), { reply });
    await reporting.request(subjects.quota('acme', 'reporting', 'acquire'), text('{}'), { timeout: ANSWER_WITHIN_MS });
    expect((await jsm.streams.info('COMMANDS')).state.last_seq).toBe(before);
  });

  it.each([
    ['ingest', 'INTERACTIONS', subjects.interaction('acme', 'call-1', 'ended')],
    ['command-planner', 'COMMANDS', subjects.command('acme', 'call-1', 'ensureTicket')],
    ['crm-writer', 'OUTCOMES', subjects.outcome('acme', 'call-1', 'ensureTicket')],
    ['quota-ledger', 'LEDGER', subjects.ledger('acme', 'ccai', 'granted')],
    ['crm-writer', 'DEAD_LETTERS', subjects.deadLetter('crm-writer')],
    ['command-planner', 'DEAD_LETTERS', subjects.deadLetter('command-planner')],
  ] as const)('let %s declare %s and publish to it', async (user, stream, subject) => {
    const connection = await as(user);
    await declare(connection, stream);
    const { seq } = await jetstream(connection).publish(subject, text('{}'), { msgID: `acme-${user}-${stream}` });
    expect(seq).toBeGreaterThan(0);
  });

  it.each([
    ['command-planner', 'INTERACTIONS', 'ingest', subjects.interaction('acme', 'call-2', 'started')],
    ['crm-writer', 'COMMANDS', 'command-planner', subjects.command('acme', 'call-2', 'ensureTicket')],
  ] as const)('let %s consume %s durably', async (user, stream, owner, subject) => {
    const publisher = await as(owner);
    await declare(publisher, stream);
    await jetstream(publisher).publish(subject, text('{}'));
    const connection = await as(user);
    const jsm = await jetstreamManager(connection);
    await jsm.consumers.add(stream, { durable_name: user, ack_policy: AckPolicy.Explicit });
    const consumer = await jetstream(connection).consumers.get(stream, user);
    const batch = await consumer.fetch({ max_messages: 100, expires: ANSWER_WITHIN_MS });
    let taken = 0;
    for await (const message of batch) {
      expect(await message.ackAck()).toBe(true);
      taken += 1;
      if (message.info.pending === 0) break;
    }
    expect(taken).toBeGreaterThan(0);
    expect((await consumer.info()).num_ack_pending).toBe(0);
  });

  it('let the ledger publish the accounts and every service watch them', async () => {
    const ledger = await as('quota-ledger');
    const published = await new Kvm(ledger).create(ACCOUNTS_BUCKET);
    await published.put('acme', '{"version":1}');
    for (const user of ['ingest', 'command-planner', 'crm-writer', 'operator']) {
      const bucket = await new Kvm(await as(user)).open(ACCOUNTS_BUCKET);
      expect((await bucket.get('acme'))?.string()).toBe('{"version":1}');
      const watch = await bucket.watch();
      for await (const entry of watch) {
        expect(entry.key).toBe('acme');
        break;
      }
      watch.stop();
    }
    expect(await isRefused('ingest', `$KV.${ACCOUNTS_BUCKET}.acme`)).toBe(true);
  });

  it('let the operator read every stream without taking anything from it', async () => {
    await declare(await as('ingest'), 'INTERACTIONS');
    const operator = await as('operator');
    const consumer = await jetstream(operator).consumers.get('INTERACTIONS');
    const message = await consumer.next({ expires: ANSWER_WITHIN_MS });
    expect(message?.subject).toMatch(/^interactions\.v1\.acme\./);
    expect(await isRefused('operator', subjects.interaction('acme', 'call-1', 'ended'))).toBe(true);
    expect(await isRefused('operator', '$JS.API.STREAM.DELETE.INTERACTIONS')).toBe(true);
  });

  it('let the operator free places whose holder is gone, and ask for no calls', async () => {
    const operator = await as('operator');
    const release = subjects.quota('acme', 'ccai', 'release');
    const answer = await operator.request(release, text('{}'), { timeout: ANSWER_WITHIN_MS });
    expect(answer.string()).toBe(release);
    expect(await isRefused('operator', subjects.quota('acme', 'ccai', 'acquire'))).toBe(true);
  });

  it('keep one service from doing what belongs to another', async () => {
    expect(await isRefused('ingest', subjects.command('acme', 'call-1', 'addComment'))).toBe(true);
    expect(await isRefused('command-planner', subjects.quota('acme', 'ccai', 'acquire'))).toBe(true);
    expect(await isRefused('crm-writer', subjects.quota('acme', 'reporting', 'acquire'))).toBe(true);
    expect(await isRefused('crm-writer', '$JS.API.STREAM.DELETE.COMMANDS')).toBe(true);
  });

  async function declare(connection: NatsConnection, stream: StreamName): Promise<void> {
    const jsm = await jetstreamManager(connection);
    await jsm.streams.add({ name: stream, subjects: [...STREAMS[stream].subjects] });
  }
});
