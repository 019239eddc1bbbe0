import { describe, expect, it } from '@jest/globals';
import type { Command, CommandKind } from '#contracts';
import { effectOrder } from './effect-order.js';

function command(id: string, kind: CommandKind, eventAt: number, interactionId = 'call-1'): Command {
  const action = { kind, body: '', public: false, tags: [], customFields: [] } as unknown as Command['data']['action'];
  const data = {
    interactionId,
    action,
    eventAt,
    eventRank: 0,
    ordinal: 0,
    priority: 'normal',
    notAfter: null,
    policyVersion: 1,
  } as const;
  return {
    id,
    type: kind,
    schemaVersion: 1,
    account: 'demo',
    occurredAt: eventAt,
    recordedAt: 0,
    causationId: id,
    traceparent: null,
    data,
  };
}

describe('the order in which commands must take effect', () => {
  it('is that of their events, the ticket first, per interaction', () => {
    const planned = [
      command('ticket', 'ensureTicket', 5),
      command('a', 'addComment', 1),
      command('b', 'addComment', 2),
      command('other', 'addComment', 9, 'call-2'),
    ];
    expect(effectOrder(planned)).toEqual({ 'call-1': ['ticket', 'a', 'b'], 'call-2': ['other'] });
  });

  it('says nothing of what was planned late, nor of a command planned again', () => {
    const planned = [
      command('b', 'addComment', 2),
      command('a', 'addComment', 1),
      command('b', 'addComment', 2),
      command('c', 'addComment', 3),
    ];
    expect(effectOrder(planned)).toEqual({ 'call-1': ['b', 'c'] });
  });
});
