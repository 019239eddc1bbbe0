import { afterEach, describe, expect, it } from '@jest/globals';
import { until } from '../../../test/support/until.js';
import { OutboxRelay, type OutboxRelayOptions, type OutboxRow } from './outbox-relay.js';
import type { Published } from './stream-publisher.js';

/** A table and a stream in memory. */
class Outbox {
  rows: OutboxRow[] = [];
  published: string[] = [];
  taken: number[] = [];
  failing: (row: string) => Error | null = () => null;

  write(...ids: number[]): void {
    for (const id of ids) this.rows.push({ id, subject: 'ledger.v1.x', msgId: `m${id}`, data: new Uint8Array() });
  }
  take = (limit: number): Promise<readonly OutboxRow[]> => {
    this.taken.push(limit);
    return Promise.resolve(this.rows.slice(0, limit));
  };
  markPublished = (ids: readonly number[]): Promise<void> => {
    this.rows = this.rows.filter(({ id }) => !ids.includes(id));
    return Promise.resolve();
  };
  publish = (_subject: string, _data: Uint8Array, msgId: string): Promise<Published> => {
    const error = this.failing(msgId);
    if (error) return Promise.reject(error);
    this.published.push(msgId);
    return Promise.resolve({ duplicate: false, sequence: this.published.length });
  };
}

describe('the outbox relay', () => {
  let relay: OutboxRelay | null = null;
  afterEach(async () => {
    await relay?.stop();
    relay = null;
  });

  const start = (outbox: Outbox, more: Partial<OutboxRelayOptions> = {}): OutboxRelay => {
    const { take, markPublished } = outbox;
    relay = new OutboxRelay({ take, markPublished, publisher: outbox, pollMs: 60_000, ...more });
    relay.start();
    return relay;
  };

  it('carries all rows in order, in batches', async () => {
    const outbox = new Outbox();
    outbox.write(1, 2, 3, 4, 5);

    start(outbox, { maxBatch: 2 });

    await until('all are carried', () => outbox.rows.length === 0);
    expect(outbox.published).toEqual(['m1', 'm2', 'm3', 'm4', 'm5']);
  });

  it('looks at once when woken, even while it is looking', async () => {
    const outbox = new Outbox();
    const running = start(outbox);
    await until('it found nothing', () => outbox.taken.length === 1);

    outbox.write(1);
    running.wake();

    await until('it is carried', () => outbox.published.length === 1);
    expect(outbox.rows).toEqual([]);
  });

  it('looks again when woken between its look and its wait', async () => {
    const outbox = new Outbox();
    let looks = 0;
    const running = start(outbox, {
      take: async (limit) => {
        const found = await outbox.take(limit);
        looks += 1;
        if (looks === 1) {
          outbox.write(1);
          running.wake();
        }
        return found;
      },
    });

    await until('it is carried', () => outbox.published.length === 1);
    expect(looks).toBeGreaterThanOrEqual(2);
  });

  it('keeps what failed, says so, and carries it later', async () => {
    const outbox = new Outbox();
    outbox.write(1, 2, 3);
    let away = true;
    outbox.failing = (msgId) => (away && msgId === 'm2' ? new Error('stream away') : null);

    const running = start(outbox);

    await until('it says so', () => running.check() === 'the outbox is not getting through: stream away');
    expect(outbox.rows.map(({ id }) => id)).toEqual([2]);
    away = false;
    await until('it is carried', () => outbox.rows.length === 0);
    expect(outbox.published).toEqual(['m1', 'm3', 'm2']);
    await until('it is well again', () => running.check() === null);
  });

  it('survives a store that is away', async () => {
    const outbox = new Outbox();
    outbox.write(1);
    let failures = 1;

    start(outbox, { take: (limit) => (failures-- > 0 ? Promise.reject(new Error('gone')) : outbox.take(limit)) });

    await until('it is carried', () => outbox.rows.length === 0);
    expect(outbox.published).toEqual(['m1']);
  });

  it('stops after the batch under way', async () => {
    const outbox = new Outbox();
    outbox.write(1);
    const running = start(outbox);

    await running.stop();

    outbox.write(2);
    running.wake();
    expect(outbox.published).not.toContain('m2');
  });
});
