import { describe, expect, it } from '@jest/globals';
import { VirtualTime } from './virtual-time.js';

describe('virtual time', () => {
  it('jumps from one instant that somebody waits for to the next, in order', async () => {
    const time = new VirtualTime(1_000);
    const told: string[] = [];
    const waiter = async (name: string, ms: number): Promise<void> => {
      await time.clock.sleep(ms);
      told.push(`${name} at ${time.clock.nowMs()}, after ${time.clock.monotonicMs()} ms`);
    };
    void waiter('late', 500);
    void waiter('early', 20);
    void waiter('also early', 20);
    await time.runUntil(5_000);
    expect(told).toEqual([
      'early at 1020, after 20 ms',
      'also early at 1020, after 20 ms',
      'late at 1500, after 500 ms',
    ]);
    expect(time.nowMs).toBe(5_000);
  });

  it('goes on only when every promise that can settle has settled', async () => {
    const time = new VirtualTime(0);
    const seenAt: number[] = [];
    time.at(10, () => {
      let chain = Promise.resolve();
      for (let link = 0; link < 1_000; link += 1) chain = chain.then(() => undefined);
      void chain.then(() => seenAt.push(time.nowMs));
    });
    time.at(11, () => seenAt.push(time.nowMs));
    await time.runUntil(20);
    expect(seenAt).toEqual([10, 11]);
  });

  it('waits for what needs turns of the event loop, but not for what itself waits for time', async () => {
    const time = new VirtualTime(0);
    const seenAt: number[] = [];
    const turns = async (): Promise<void> => {
      for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    };
    time.at(10, () => void time.outside(turns()).then(() => seenAt.push(time.nowMs)));
    time.at(11, () => void time.outside(time.clock.sleep(100)).then(() => seenAt.push(time.nowMs)));
    await time.runUntil(1_000);
    expect(seenAt).toEqual([10, 111]);
  });

  it('ends a wait with the reason of its signal, and lets no time pass for it', async () => {
    const time = new VirtualTime(0);
    const over = new AbortController();
    const waiting = time.clock.sleep(1_000, over.signal).catch((error: Error) => `${error.message} at ${time.nowMs}`);
    time.at(5, () => over.abort(new Error('enough')));
    await time.runUntil(6);
    expect(await waiting).toBe('enough at 5');
    await expect(time.clock.sleep(1, over.signal)).rejects.toThrow('enough');
    const before = time.happened;
    await time.runUntil(2_000);
    expect(time.happened).toBe(before);
  });

  it('stops where it is enough', async () => {
    const time = new VirtualTime(0);
    let ticks = 0;
    const tick = (): void => {
      ticks += 1;
      time.at(time.nowMs + 10, tick);
    };
    tick();
    await time.runUntil(10_000, () => ticks >= 5);
    expect(time.nowMs).toBe(40);
  });
});
