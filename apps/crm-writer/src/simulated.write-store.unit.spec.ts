import { describe, expect, it } from '@jest/globals';
import { systemClock } from '#clock';
import { inAccount, ticket } from '../test/commands.js';
import { SimulatedWriteStore } from './simulated.write-store.js';
import { describeWriteStore } from './write.store.conformance.spec.js';

describeWriteStore('the writer’s memory, simulated', async () => {
  const store = new SimulatedWriteStore({ clock: systemClock });
  return {
    store,
    outcomes: async (account) => [...store.outbox.values()].filter((outcome) => outcome.account === account),
  };
});

describe('the simulated memory that is told to fail', () => {
  const commands = [inAccount('acme', ticket('call-1'))];

  it('has nothing of what failed before its commit', async () => {
    const faults = { beforeCommit: () => Promise.reject(new Error('gone')) };
    const store = new SimulatedWriteStore({ clock: systemClock, faults });
    await expect(store.takeIn(commands)).rejects.toThrow('gone');
    expect(await store.view('acme', 'call-1')).toBeNull();
  });

  it('has all of what failed after its commit', async () => {
    const faults = {
      afterCommit: (method: string) => {
        if (method === 'takeIn') throw new Error('gone');
      },
    };
    const store = new SimulatedWriteStore({ clock: systemClock, faults });
    await expect(store.takeIn(commands)).rejects.toThrow('gone');
    expect(await store.view('acme', 'call-1')).not.toBeNull();
  });
});
