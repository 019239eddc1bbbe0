import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { testNats, type TestNats } from '../../../test/support/servers.js';
import { connectNats } from './connect-nats.js';
import { declareStream, StreamMismatch } from './declare-stream.js';

const SIZES = { maxBytes: 10_000_000, maxAgeMs: 86_400_000, replicas: 1 };

describe('declaring a stream', () => {
  let server: TestNats;
  let nc: NatsConnection;
  let manager: JetStreamManager;

  beforeAll(async () => {
    server = await testNats();
    nc = await connectNats({ servers: server.url, name: 'spec' });
    manager = await jetstreamManager(nc);
  });
  afterAll(async () => {
    await nc?.close();
    await server?.stop();
  });
  beforeEach(() => manager.streams.delete('OUTCOMES').catch(() => undefined));

  it('creates it with limits retention, in files, refusing new messages when full', async () => {
    const declared = await declareStream(nc, 'OUTCOMES', SIZES);

    const { config } = await manager.streams.info('OUTCOMES');
    expect(declared).toEqual({ name: 'OUTCOMES', did: 'created', differences: [] });
    expect(config).toMatchObject({
      subjects: ['outcomes.v1.>'],
      retention: 'limits',
      storage: 'file',
      discard: 'new',
      max_bytes: 10_000_000,
      max_age: 86_400_000_000_000,
      duplicate_window: 120_000_000_000,
    });
  });

  it('changes nothing the second time', async () => {
    await declareStream(nc, 'OUTCOMES', SIZES);

    expect(await declareStream(nc, 'OUTCOMES', SIZES)).toMatchObject({ did: 'unchanged', differences: [] });
  });

  it('raises sizes of an existing one', async () => {
    await declareStream(nc, 'OUTCOMES', SIZES);

    const declared = await declareStream(nc, 'OUTCOMES', { ...SIZES, maxBytes: 20_000_000, maxAgeMs: 2 * 86_400_000 });

    const { config } = await manager.streams.info('OUTCOMES');
    expect(declared.did).toBe('updated');
    expect(config).toMatchObject({ max_bytes: 20_000_000, max_age: 2 * 86_400_000_000_000 });
  });

  it('never lowers max_bytes, and says so', async () => {
    await declareStream(nc, 'OUTCOMES', SIZES);

    const declared = await declareStream(nc, 'OUTCOMES', { ...SIZES, maxBytes: 5_000_000 });

    expect(declared).toEqual({
      name: 'OUTCOMES',
      did: 'unchanged',
      differences: ['max_bytes stays 10000000, asked 5000000'],
    });
  });

  it('keeps the duplicate window within the age', async () => {
    await declareStream(nc, 'OUTCOMES', { ...SIZES, maxAgeMs: 60_000 });

    const { config } = await manager.streams.info('OUTCOMES');
    expect(config.duplicate_window).toBe(60_000_000_000);
  });

  it('refuses one whose retention is another', async () => {
    await manager.streams.add({ name: 'OUTCOMES', subjects: ['outcomes.v1.>'], retention: 'workqueue' });

    const failed = declareStream(nc, 'OUTCOMES', SIZES);

    await expect(failed).rejects.toBeInstanceOf(StreamMismatch);
    await expect(failed).rejects.toMatchObject({ code: 'stream_mismatch', stream: 'OUTCOMES' });
  });
});
