import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { jetstreamManager, StorageType } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { testNats, type TestNats } from '../../../test/support/servers.js';
import { until } from '../../../test/support/until.js';
import { connectNats } from './connect-nats.js';
import { declareStream } from './declare-stream.js';
import { StreamFull, StreamPublisher, StreamUnavailable } from './stream-publisher.js';

const SIZES = { maxBytes: 64 * 1024 * 1024, maxAgeMs: 86_400_000, replicas: 1 };
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('the stream publisher', () => {
  let server: TestNats;
  let nc: NatsConnection;
  let publisher: StreamPublisher;

  beforeAll(async () => {
    server = await testNats({ own: true });
    nc = await connectNats({ servers: server.url, name: 'spec', inboxPrefix: '_SVC.spec' });
    await declareStream(nc, 'INTERACTIONS', SIZES);
  });
  afterAll(async () => {
    await nc?.close();
    await server?.stop();
  });
  beforeEach(() => {
    publisher = new StreamPublisher(nc);
  });
  afterEach(() => publisher.close());

  it('tells the sequence, and a repeated id as a duplicate of the first', async () => {
    const first = await publisher.publish('interactions.v1.demo.call-1.started', bytes('{}'), 'demo:1');
    const again = await publisher.publish('interactions.v1.demo.call-1.started', bytes('{}'), 'demo:1');

    expect(first.duplicate).toBe(false);
    expect(again).toEqual({ duplicate: true, sequence: first.sequence });
  });

  it('keeps the order of what is published at once', async () => {
    const ids = Array.from({ length: 2_000 }, (_, i) => `order:${i}`);

    const published = await Promise.all(
      ids.map((id) => publisher.publish('interactions.v1.demo.call-2.started', bytes(id), id)),
    );

    const sequences = published.map(({ sequence }) => sequence);
    expect(sequences).toEqual(sequences.toSorted((a, b) => a - b));
    expect(new Set(sequences).size).toBe(ids.length);
    expect(publisher.inFlight).toBe(0);
  });

  it('carries headers beside the id', async () => {
    const { sequence } = await publisher.publish('interactions.v1.demo.call-3.started', bytes('x'), 'demo:3', {
      'Sluice-Reason': 'because',
    });

    const stored = await (await jetstreamManager(nc)).streams.getMessage('INTERACTIONS', { seq: sequence });
    expect(stored?.header.get('Nats-Msg-Id')).toBe('demo:3');
    expect(stored?.header.get('Sluice-Reason')).toBe('because');
  });

  it('says that no stream holds the subject', async () => {
    const failed = publisher.publish('nowhere.v1.x', bytes('x'), 'x:1');

    await expect(failed).rejects.toMatchObject({ code: 'stream_unavailable', reason: 'no_stream', retryInMs: 1_000 });
  });

  it('says that the stream is full, and stores nothing of it', async () => {
    const manager = await jetstreamManager(nc);
    await manager.streams.add({
      name: 'SMALL',
      subjects: ['small.>'],
      max_bytes: 2_000,
      discard: 'new',
      storage: StorageType.File,
    });
    const publishing = Array.from({ length: 20 }, (_, i) =>
      publisher.publish('small.x', new Uint8Array(300), `s:${i}`),
    );

    const settled = await Promise.allSettled(publishing);

    const refused = settled.filter((one) => one.status === 'rejected');
    const { state } = await manager.streams.info('SMALL');
    expect(refused.length).toBeGreaterThan(0);
    for (const { reason } of refused) expect(reason).toBeInstanceOf(StreamFull);
    expect(state.messages).toBe(settled.length - refused.length);
  });

  it('refuses at once what would exceed its bound', async () => {
    const small = new StreamPublisher(nc, { maxInFlight: 3 });
    const publish = (id: string) => small.publish('interactions.v1.demo.call-4.started', bytes('x'), id);

    const settled = await Promise.allSettled(['a', 'b', 'c', 'd'].map((id) => publish(`bound:${id}`)));

    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'rejected']);
    await expect(Promise.reject((settled[3] as PromiseRejectedResult).reason)).rejects.toMatchObject({
      reason: 'overloaded',
    });
    small.close();
  });

  it('rejects what waits when the server dies, and works again once it is back', async () => {
    const publish = (id: string) => publisher.publish('interactions.v1.demo.call-5.started', bytes('x'), id);
    await publish('death:0');

    await server.kill9();
    const failure = await until('a rejection', () =>
      publish('death:1').then(
        () => null,
        (error: unknown) => error,
      ),
    );
    expect(failure).toBeInstanceOf(StreamUnavailable);
    await until('the loss is noticed', () =>
      publish('death:2').catch((error: StreamUnavailable) => error.reason === 'disconnected'),
    );

    await server.restart();
    const back = await until('it is stored', () => publish('death:1').catch(() => null));
    expect(back.sequence).toBeGreaterThan(0);
  });
});
