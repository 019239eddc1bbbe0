import { describe, expect, it } from '@jest/globals';
import { LedgerChanges } from './ledger-changes.js';

const NATS_MESSAGE_BYTES = 1_048_576;

describe('the events of one turn', () => {
  it('are told in messages that NATS takes, however much happened', () => {
    const changes = new LedgerChanges();
    const usedAt = Array.from({ length: 1_000 }, () => 1_770_000_000_000);
    for (let n = 0; n < 512; n += 1)
      changes.event('demo', 'ccai', 'settled', { grantId: 'g', requestId: '\u0001'.repeat(128), usedAt });
    for (let n = 0; n < 512; n += 1)
      changes.event('demo', 'ccai', 'granted', { grantId: 'g', requestId: '\u0001'.repeat(128) });
    for (const { entries } of changes.events)
      expect(JSON.stringify(entries).length).toBeLessThan(NATS_MESSAGE_BYTES / 2);
    expect(changes.events.reduce((sum, { entries }) => sum + entries.length, 0)).toBe(1_024);
  });

  it('of one kind and integration share a message', () => {
    const changes = new LedgerChanges();
    changes.event('demo', 'ccai', 'granted', { grantId: 'a' });
    changes.event('demo', 'ccai', 'granted', { grantId: 'b' });
    changes.event('demo', 'reporting', 'granted', { grantId: 'c' });
    expect(changes.events.map(({ entries }) => entries.length)).toEqual([2, 1]);
  });
});
