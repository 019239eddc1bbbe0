import { describe, expect, it } from '@jest/globals';
import {
  askTogether,
  EXPORT_LAG_MS,
  exportFromSeconds,
  isUntouchedSince,
  jobOfTickets,
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
  WORTH_A_LOOK,
  WORTH_AN_EXPORT,
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

describe('what isn’t there while a job may still bring it', () => {
  const stuck = { resolution: 'park', code: 'job_stuck' };

  it('is parked, never sent again on a hope', () => {
    expect(resolveByTickets({ ...creation, mayStillRun: true }, single, [])).toMatchObject(stuck);
    expect(resolveByAudits({ ...change, mayStillRun: true }, { marks: [], next: null })).toMatchObject(stuck);
    expect(questionFor({ ...change, hasComment: false, mayStillRun: true })).toMatchObject({ so: stuck });
  });

  it('is done where it is there all the same', () => {
    const found = [{ id: 9, externalId: 'ccai-call-1' }];
    expect(resolveByTickets({ ...creation, mayStillRun: true }, single, found)).toMatchObject({ resolution: 'done' });
  });
});

describe('asking for many at once', () => {
  const aged = { firstSentAgoMs: 90_000, quietForMs: EXPORT_LAG_MS, single: false };
  const many = (count: number, of: object) => Array.from({ length: count }, () => ({ ...creation, ...aged, ...of }));

  it('is worth while from a number on', () => {
    expect(askTogether(many(WORTH_AN_EXPORT, {}), 1).byExport).toHaveLength(WORTH_AN_EXPORT);
    expect(askTogether(many(WORTH_AN_EXPORT - 1, {}), 1).byExport).toEqual([]);
    expect(askTogether(many(WORTH_A_LOOK, { ticketId: 7 }), 1).byLook).toHaveLength(WORTH_A_LOOK);
    expect(askTogether(many(WORTH_A_LOOK - 1, { ticketId: 7 }), 1).byLook).toEqual([]);
    expect(askTogether(many(500, { ticketId: 7 }), 1).byLook).toHaveLength(100);
  });

  it.each([
    ['what was asked for already', { asks: 1 }],
    ['what a job may still bring', { mayStillRun: true }],
    ['what the export may not tell of yet', { quietForMs: EXPORT_LAG_MS - 1 }],
    ['what was sent so long ago that too much has changed since', { firstSentAgoMs: 3 * 3_600_000 }],
  ])('leaves out %s', (_name, of) => {
    expect(askTogether(many(50, of), 1).byExport).toEqual([]);
  });

  it('waits for the export to tell of a job’s tickets, and asks for single ones at once', () => {
    const young = { quietForMs: EXPORT_LAG_MS - 1 };
    expect(askTogether(many(WORTH_AN_EXPORT, young), 1)).toMatchObject({
      byExport: [],
      later: { length: WORTH_AN_EXPORT },
    });
    expect(askTogether(many(WORTH_AN_EXPORT, { ...young, single: true }), 1).later).toEqual([]);
    expect(askTogether(many(WORTH_AN_EXPORT - 1, young), 1).later).toEqual([]);
  });

  it('counts in the CRM’s time', () => {
    expect(askTogether(many(50, { quietForMs: EXPORT_LAG_MS / 10, firstSentAgoMs: 9_000 }), 10).byExport).toHaveLength(
      50,
    );
  });

  it('begins its export before anything could have been made', () => {
    expect(exportFromSeconds(1_000_000)).toBe(925);
    expect(exportFromSeconds(5)).toBe(0);
  });

  it('takes a ticket for untouched only where its last change is older than any difference of clocks', () => {
    expect(isUntouchedSince(89_999, 100_000)).toBe(true);
    expect(isUntouchedSince(90_000, 100_000)).toBe(false);
    expect(isUntouchedSince(null, 100_000)).toBe(false);
    expect(isUntouchedSince(1, NaN)).toBe(false);
  });

  it('takes for a hint only the one finished job of exactly these tickets', () => {
    const job = (id: string, ids: unknown[], status = 'completed') => ({
      id,
      status,
      jobType: null,
      total: null,
      results: ids.map((ticketId) => ({ id: ticketId })),
    });
    const none = new Set<string>();
    expect(jobOfTickets([job('a', [2, 1]), job('b', [1, 2, 3])], none, [1, 2])?.id).toBe('a');
    expect(jobOfTickets([job('a', [2, 1]), job('b', [1, 2])], none, [1, 2])).toBeNull();
    expect(jobOfTickets([job('a', [1, 2])], new Set(['a']), [1, 2])).toBeNull();
    expect(jobOfTickets([job('a', [1, 2], 'working')], none, [1, 2])).toBeNull();
    expect(jobOfTickets([job('a', [1, 1]), job('b', [1]), job('c', [1, null])], none, [1, 2])).toBeNull();
  });
});
