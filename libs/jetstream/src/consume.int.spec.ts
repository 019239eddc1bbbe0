import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { silentLog } from '#telemetry';
import { testNats, type TestNats } from '../../../test/support/servers.js';
import { until } from '../../../test/support/until.js';
import { connectNats } from './connect-nats.js';
import { consume, type ConsumeOptions, type Consumption, type Delivered } from './consume.js';
import { declareStream } from './declare-stream.js';
import { ack, deadLetter, type Disposition, retryAfter } from './disposition.js';
import { StreamPublisher } from './stream-publisher.js';

const SIZES = { maxBytes: 64 * 1024 * 1024, maxAgeMs: 86_400_000, replicas: 1 };
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (data: Uint8Array): string => new TextDecoder().decode(data);

describe('a consumer', () => {
  let server: TestNats;
  let nc: NatsConnection;
  let manager: JetStreamManager;
  let publisher: StreamPublisher;
  let running: Consumption[] = [];
  let count = 0;

  beforeAll(async () => {
    server = await testNats({ own: true });
    nc = await connectNats({ servers: server.url, name: 'spec' });
    manager = await jetstreamManager(nc);
    publisher = new StreamPublisher(nc);
    await declareStream(nc, 'DEAD_LETTERS', SIZES);
  });
  afterAll(async () => {
    publisher?.close();
    await nc?.close();
    await server?.stop();
  });
  beforeEach(() => declareStream(nc, 'COMMANDS', SIZES));
  afterEach(async () => {
    await Promise.all(running.map((one) => one.stop()));
    running = [];
    await manager.streams.delete('COMMANDS').catch(() => false);
  });

  const start = (
    handle: (batch: readonly Delivered[]) => Promise<readonly Disposition[]>,
    more: Partial<ConsumeOptions> = {},
  ): Consumption => {
    const consumption = consume({
      nc,
      stream: 'COMMANDS',
      durable: 'writer',
      maxBatch: 10,
      maxWaitMs: 20,
      ackWaitMs: 2_000,
      deadLetters: publisher,
      log: silentLog,
      handle,
      ...more,
    });
    running.push(consumption);
    return consumption;
  };
  const publish = (...texts: string[]) =>
    Promise.all(
      texts.map((text) => publisher.publish('commands.v1.demo.call-1.addComment', bytes(text), `${(count += 1)}`)),
    );
  const unacknowledged = async (durable = 'writer'): Promise<number> => {
    // Until it is made there is none.
    const info = await manager.consumers.info('COMMANDS', durable).catch(() => null);
    return info ? info.num_pending + info.num_ack_pending : Number.NaN;
  };
  const allAcknowledged = (durable?: string) =>
    until('all is acknowledged', async () => (await unacknowledged(durable)) === 0);

  it('hands over what the stream has, in order, in batches no larger than asked', async () => {
    const texts = Array.from({ length: 95 }, (_, i) => `m${i}`);
    await publish(...texts);
    const batches: string[][] = [];

    start((batch) => {
      batches.push(batch.map(({ data }) => textOf(data)));
      return Promise.resolve(batch.map(() => ack));
    });

    await allAcknowledged();
    expect(batches.flat()).toEqual(texts);
    expect(Math.max(...batches.map(({ length }) => length))).toBe(10);
    expect(batches.length).toBeLessThanOrEqual(20);
  });

  it('tells subject, sequence, delivery and headers of each', async () => {
    await publish('one');
    const seen: Delivered[] = [];

    start((batch) => {
      seen.push(...batch);
      return Promise.resolve(batch.map(() => ack));
    });

    const [first] = await until('a delivery', () => seen.length > 0 && seen);
    expect(first).toMatchObject({ subject: 'commands.v1.demo.call-1.addComment', sequence: 1, deliveryCount: 1 });
    expect(first?.header('Nats-Msg-Id')).toBe(`${count}`);
    expect(first?.header('absent')).toBeNull();
    expect(Math.abs((first?.storedAt ?? 0) - Date.now())).toBeLessThan(60_000);
  });

  it('goes on where the one before it stopped', async () => {
    await publish('a', 'b');
    const seen: string[] = [];
    const handle = (batch: readonly Delivered[]) => {
      seen.push(...batch.map(({ data }) => textOf(data)));
      return Promise.resolve(batch.map(() => ack));
    };
    const first = start(handle);
    await allAcknowledged();
    await first.stop();
    await publish('c');

    start(handle);

    await allAcknowledged();
    expect(seen).toEqual(['a', 'b', 'c']);
  });

  it('gives back on stop what it had fetched and not handled', async () => {
    await publish(...Array.from({ length: 20 }, (_, i) => `m${i}`));
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let handled = 0;
    const first = start(
      async (batch) => {
        handled += batch.length;
        await held;
        return batch.map(() => ack);
      },
      { ackWaitMs: 60_000 },
    );
    await until('a batch is under way', () => handled > 0);
    const stopped = first.stop();
    release();
    await stopped;

    start(
      (batch) => {
        handled += batch.length;
        return Promise.resolve(batch.map(() => ack));
      },
      { ackWaitMs: 60_000 },
    );

    await allAcknowledged();
    expect(handled).toBe(20);
  });

  it('delivers again after the delay asked for', async () => {
    await publish('again');
    const deliveries: number[] = [];

    start((batch) =>
      Promise.resolve(
        batch.map(({ deliveryCount }) => {
          deliveries.push(deliveryCount);
          return deliveryCount < 3 ? retryAfter(20) : ack;
        }),
      ),
    );

    await allAcknowledged();
    expect(deliveries).toEqual([1, 2, 3]);
  });

  it('keeps a dead letter with where it came from, and delivers it no more', async () => {
    await manager.streams.purge('DEAD_LETTERS');
    await publish('good', 'bad');
    const seen: string[] = [];

    start(
      (batch) =>
        Promise.resolve(
          batch.map(({ data }) => {
            seen.push(textOf(data));
            return textOf(data) === 'bad' ? deadLetter('not\nJSON') : ack;
          }),
        ),
      { ackWaitMs: 1_000 },
    );

    await allAcknowledged();
    const stored = await manager.streams.getMessage('DEAD_LETTERS', { last_by_subj: 'deadletters.v1.writer' });
    expect(textOf(stored?.data ?? bytes(''))).toBe('bad');
    expect(stored?.header.get('Sluice-Stream')).toBe('COMMANDS');
    expect(stored?.header.get('Sluice-Sequence')).toBe('2');
    expect(stored?.header.get('Sluice-Subject')).toBe('commands.v1.demo.call-1.addComment');
    expect(stored?.header.get('Sluice-Reason')).toBe('not JSON');
    expect(seen).toEqual(['good', 'bad']);
  });

  it('delivers the whole batch again when the handler fails', async () => {
    await publish('a', 'b');
    let failures = 0;
    const seen: string[] = [];

    start((batch) => {
      if (failures === 0) {
        failures += 1;
        return Promise.reject(new Error('the database is away'));
      }
      seen.push(...batch.map(({ data }) => textOf(data)));
      return Promise.resolve(batch.map(() => ack));
    });

    await allAcknowledged();
    expect(seen.toSorted()).toEqual(['a', 'b']);
  });

  it('keeps a slow batch, and what waits behind it, from being delivered again', async () => {
    const ackWaitMs = 1_000;
    await publish(...Array.from({ length: 4 }, (_, i) => `m${i}`));
    const counts: number[] = [];

    start(
      async (batch) => {
        const startedAt = performance.now();
        counts.push(...batch.map(({ deliveryCount }) => deliveryCount));
        if (counts.length <= 2)
          await until('more than twice ackWaitMs has passed', () => performance.now() - startedAt > 2.2 * ackWaitMs);
        return batch.map(() => ack);
      },
      { ackWaitMs, maxBatch: 2, maxWaitMs: 200 },
    );

    await allAcknowledged();
    expect(counts).toEqual([1, 1, 1, 1]);
  });

  it('waits for a stream that is not there yet', async () => {
    await manager.streams.delete('COMMANDS');
    const seen: string[] = [];
    const consumption = start((batch) => {
      seen.push(...batch.map(({ data }) => textOf(data)));
      return Promise.resolve(batch.map(() => ack));
    });
    await until('it says so', () => consumption.check()?.includes('stream not found'));

    await declareStream(nc, 'COMMANDS', SIZES);
    await publish('late');

    await until('it is delivered', () => seen.length === 1);
    expect(consumption.check()).toBeNull();
  });

  it('makes its consumer anew when someone deletes it', async () => {
    const seen: string[] = [];
    const consumption = start((batch) => {
      seen.push(...batch.map(({ data }) => textOf(data)));
      return Promise.resolve(batch.map(() => ack));
    });
    await until('it consumes', () => consumption.check() === null);
    await publish('a');
    await until('the first is delivered', () => seen.length === 1);

    await manager.consumers.delete('COMMANDS', 'writer');
    await publish('b');

    await until('the second is delivered', () => seen.includes('b'), 15_000);
    expect(consumption.check()).toBeNull();
  });

  it('adapts an existing consumer to changed settings', async () => {
    await start((batch) => Promise.resolve(batch.map(() => ack)), { ackWaitMs: 2_000 }).stop();

    const consumption = start((batch) => Promise.resolve(batch.map(() => ack)), { ackWaitMs: 5_000 });

    await until('it consumes', () => consumption.check() === null);
    const { config } = await manager.consumers.info('COMMANDS', 'writer');
    expect(config).toMatchObject({ ack_wait: 5_000_000_000, ack_policy: 'explicit', max_deliver: -1 });
  });

  it('shares the messages with its replicas', async () => {
    const seen: string[][] = [[], []];
    for (const mine of seen)
      start(
        (batch) => {
          mine.push(...batch.map(({ data }) => textOf(data)));
          return Promise.resolve(batch.map(() => ack));
        },
        { maxBatch: 2, maxWaitMs: 0 },
      );
    const texts = Array.from({ length: 200 }, (_, i) => `m${i}`);
    await until('both consume', () => running.every((one) => one.check() === null));

    for (const text of texts) await publish(text);

    await allAcknowledged();
    expect(seen.flat().toSorted()).toEqual(texts.toSorted());
    expect(seen.every((mine) => mine.length > 0)).toBe(true);
  });

  it('survives the death of the server', async () => {
    const seen: string[] = [];
    const consumption = start((batch) => {
      seen.push(...batch.map(({ data }) => textOf(data)));
      return Promise.resolve(batch.map(() => ack));
    });
    await publish('before');
    await until('the first is delivered', () => seen.includes('before'));

    await server.kill9();
    await server.restart();

    await until('it is stored', () => publish('after').catch(() => null));
    await until('the second is delivered', () => seen.includes('after'), 15_000);
    await until('it is well again', () => consumption.check() === null);
    expect(seen.filter((text) => text === 'after')).toHaveLength(1);
  }, 40_000);
});
