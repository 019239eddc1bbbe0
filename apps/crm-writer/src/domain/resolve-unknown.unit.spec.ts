import { describe, expect, it } from '@jest/globals';
import {
  jobsSettled,
  KEY_KEPT_MS,
  MAX_ASKS_PER_ITEM,
  MAX_SENDS_PER_KEY,
  questionFor,
  resolveByAudits,
  resolveByTickets,
  suspectJobs,
  ticketsToShow,
  type UnknownItem,
} from './resolve-unknown.js';

const creation: UnknownItem = {
  interactionId: 'call-1',
  commandIds: ['a', 'b'],
  ticketId: null,
  followUpOf: null,
  externalId: 'ccai-call-1',
  hasComment: true,
  mayStillRun: false,
  asks: 0,
  cursor: null,
};
const change: UnknownItem = { ...creation, ticketId: 7 };
const single = { single: true, sends: 1, firstSentAgoMs: 0 };

describe('asking what became of a call', () => {
  it('lists tickets by external id for one that was to be made', () => {
    expect(questionFor(creation)).toEqual({ ask: 'ticketByExternalId', externalId: 'ccai-call-1' });
  });

  it('reads the ticket’s audits for a comment', () => {
    expect(questionFor({ ...change, cursor: '?page=2' })).toEqual({ ask: 'audits', ticketId: 7, cursor: '?page=2' });
  });

  it('asks nothing where only fields are set: they may be set twice', () => {
    expect(questionFor({ ...change, hasComment: false })).toEqual({ ask: 'nothing', so: { resolution: 'planAgain' } });
  });

  it('parks what asking never decides', () => {
    expect(questionFor({ ...change, asks: MAX_ASKS_PER_ITEM })).toMatchObject({
      so: { resolution: 'park', code: 'undecided' },
    });
  });
});

describe('a list of tickets', () => {
  it('shows that the ticket was made', () => {
    expect(resolveByTickets(creation, single, [{ id: 9, externalId: 'ccai-call-1' }])).toEqual({
      resolution: 'done',
      ticketId: 9,
    });
  });

  it('doesn’t mislead by tickets of others', () => {
    expect(resolveByTickets(creation, single, [{ id: 9, externalId: 'ccai-call-10' }])).toEqual({
      resolution: 'sendSame',
    });
  });

  it('does not take the closed ticket for the one that follows it', () => {
    const followUp = { ...creation, followUpOf: 9 };
    const tickets = [5, 9].map((id) => ({ id, externalId: 'ccai-call-1' }));
    expect(resolveByTickets(followUp, single, tickets)).toEqual({ resolution: 'sendSame' });
    expect(resolveByTickets(followUp, single, [...tickets, { id: 12, externalId: 'ccai-call-1' }])).toEqual({
      resolution: 'done',
      ticketId: 12,
    });
  });

  it('sends the same bytes only while the key guards them', () => {
    expect(resolveByTickets(creation, { ...single, firstSentAgoMs: KEY_KEPT_MS }, [])).toEqual({
      resolution: 'planAgain',
    });
    expect(resolveByTickets(creation, { ...single, sends: MAX_SENDS_PER_KEY }, [])).toEqual({
      resolution: 'planAgain',
    });
    expect(resolveByTickets(creation, { ...single, single: false }, [])).toEqual({ resolution: 'planAgain' });
  });
});

describe('a page of audits', () => {
  it('shows by its mark that the comment is there', () => {
    expect(resolveByAudits(change, { marks: [[], ['x', 'b']], next: '?page=2' })).toEqual({
      resolution: 'done',
      ticketId: 7,
    });
  });

  it('leads to the next one, and to writing again after the last', () => {
    expect(resolveByAudits(change, { marks: [['x']], next: '?page=2' })).toEqual({
      resolution: 'askMore',
      cursor: '?page=2',
    });
    expect(resolveByAudits(change, { marks: [['x']], next: null })).toEqual({ resolution: 'planAgain' });
  });
});

describe('tickets of jobs of unknown origin', () => {
  const job = (id: string, status: string, ids: number[]) => ({
    id,
    status,
    jobType: null,
    total: null,
    results: ids.map((ticketId, index) => ({ index, id: ticketId })),
  });

  it('are those of ended jobs as large as the one that got lost', () => {
    const jobs = [
      job('a', 'completed', [1, 2]),
      job('b', 'completed', [3]),
      job('c', 'working', [4, 5]),
      job('d', 'completed', [6, 7]),
    ];
    expect(ticketsToShow(jobs, new Set(['d']), [2])).toEqual([1, 2]);
  });

  it('are no more than one call shows, and none of updates', () => {
    const many = Array.from({ length: 60 }, (_, i) => i + 1);
    const jobs = [
      job('a', 'completed', many),
      job(
        'b',
        'completed',
        many.map((id) => id + 100),
      ),
    ];
    expect(ticketsToShow(jobs, new Set(), [60])).toHaveLength(100);
    const update = { ...job('u', 'completed', []), results: [{ action: 'update', id: 9, success: true }] };
    expect(ticketsToShow([update], new Set(), [1])).toEqual([]);
  });
});

describe('the list of jobs', () => {
  const job = (id: string, status: string) => ({ id, status, jobType: null, total: null, results: null });

  it('decides once none is left that could be the one', () => {
    const none = new Set<string>();
    expect(jobsSettled([job('a', 'completed'), job('b', 'killed')], ['a', 'b'], none)).toBe(true);
    expect(jobsSettled([job('a', 'completed'), job('b', 'working')], ['a', 'b'], none)).toBe(false);
    expect(jobsSettled([job('a', 'working')], ['a'], new Set(['a']))).toBe(true);
    expect(jobsSettled([], [], none)).toBe(true);
  });

  it('decides though others begin job after job', () => {
    expect(suspectJobs([job('a', 'working'), job('b', 'queued'), job('c', 'completed')], new Set(['b']))).toEqual([
      'a',
    ]);
    expect(jobsSettled([job('a', 'completed'), job('z', 'working')], ['a'], new Set())).toBe(true);
  });

  it('doesn’t decide while one that could be it is not told of', () => {
    expect(jobsSettled([job('z', 'completed')], ['a'], new Set())).toBe(false);
  });
});
