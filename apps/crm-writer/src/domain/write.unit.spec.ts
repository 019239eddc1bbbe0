import { describe, expect, it } from '@jest/globals';
import { FINAL_WRITE_STATES, WRITE_STATES } from '#contracts';
import {
  inOrder,
  mayGo,
  mostUrgent,
  priorityOfRank,
  rankOfPriority,
  UNDER_A_GRANT,
  type WaitingCommand,
} from './write.js';

describe('a write', () => {
  it('leaves waiting for a grant, or for an end that needs none', () => {
    const next = WRITE_STATES.filter((state) => mayGo('waiting', state));
    expect(next).toEqual(['claimed', 'sent', 'parked', 'superseded', 'lapsed']);
  });

  it('stays where it is once it has come to its end, but for what is parked or rehearsed, which may be taken up', () => {
    expect(WRITE_STATES.filter((state) => mayGo('parked', state))).toEqual(['waiting', 'unknown']);
    expect(WRITE_STATES.filter((state) => mayGo('rehearsed', state))).toEqual(['waiting']);
    for (const from of FINAL_WRITE_STATES.filter((state) => state !== 'parked' && state !== 'rehearsed'))
      for (const to of WRITE_STATES) expect(mayGo(from, to)).toBe(false);
  });

  it('is done only by way of a grant', () => {
    expect(WRITE_STATES.filter((from) => mayGo(from, 'done'))).toEqual(['sent', 'unknown']);
    expect(UNDER_A_GRANT).toEqual(expect.arrayContaining(['sent', 'unknown', 'done']));
  });

  it('comes out of unknown by every way that asking may show', () => {
    expect(WRITE_STATES.filter((state) => mayGo('unknown', state))).toEqual(['waiting', 'sent', 'done', 'parked']);
  });
});

describe('commands of an interaction', () => {
  const command = (commandId: string, kind: 'ensureTicket' | 'addComment', at: readonly number[]): WaitingCommand =>
    ({ commandId, action: { kind }, eventAt: at[0], eventRank: at[1], ordinal: at[2] }) as WaitingCommand;

  it('take effect with the ticket first, then by event time, rank, ordinal and id', () => {
    const commands = [
      command('e', 'addComment', [2, 0, 0]),
      command('d', 'addComment', [1, 1, 0]),
      command('c', 'addComment', [1, 0, 1]),
      command('b', 'addComment', [1, 0, 0]),
      command('a', 'addComment', [1, 0, 0]),
      command('z', 'ensureTicket', [9, 9, 9]),
    ];
    expect(inOrder(commands).map(({ commandId }) => commandId)).toEqual(['z', 'a', 'b', 'c', 'd', 'e']);
  });
});

describe('priorities', () => {
  it('keep their rank both ways', () => {
    for (const priority of ['live', 'normal', 'backlog'] as const)
      expect(priorityOfRank(rankOfPriority(priority))).toBe(priority);
  });

  it('of several count as the most urgent', () => {
    expect(mostUrgent(['backlog', 'live', 'normal'])).toBe('live');
    expect(mostUrgent([])).toBe('backlog');
  });
});
