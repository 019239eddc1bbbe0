import { describe, expect, it } from '@jest/globals';
import {
  afterLook,
  FORGOTTEN_AFTER_MS,
  jobIn,
  type JobStatus,
  jobsIn,
  judgeJob,
  MAX_POLLS_PER_JOB,
  MAX_POLLS_WHILE_STUCK,
  pollInMs,
} from './judge-job.js';

const job = (status: string, results: unknown[] | null): JobStatus => ({
  id: 'V3-1',
  jobType: null,
  status,
  total: null,
  results,
});
const made = (...indexes: number[]) => indexes.map((index) => ({ index, ticketId: null }));
const verdicts = (status: JobStatus, items: { index: number; ticketId: number | null }[]) => {
  const judged = judgeJob(status, items);
  return judged.job === 'over' ? judged.items.map(({ verdict }) => verdict) : judged.job;
};

describe('judging a job', () => {
  it.each(['queued', 'working', 'some new word'])('waits while it is %s', (status) => {
    expect(judgeJob(job(status, null), made(0))).toEqual({ job: 'running' });
  });

  it('matches made tickets by index, whatever their order', () => {
    const results = [
      { index: 1, id: 11 },
      { index: 0, id: 22 },
    ];
    expect(verdicts(job('completed', results), made(0, 1))).toEqual([
      { verdict: 'done', ticketId: 22 },
      { verdict: 'done', ticketId: 11 },
    ]);
  });

  it('matches changed tickets by their id', () => {
    const results = [
      { action: 'update', id: 8, status: 'Updated', success: true },
      { action: 'update', id: 7, success: false },
    ];
    const items = [
      { index: 0, ticketId: 7 },
      { index: 1, ticketId: 8 },
    ];
    expect(verdicts(job('completed', results), items)).toEqual([
      { verdict: 'again', code: 'job_item_failed' },
      { verdict: 'done', ticketId: 8 },
    ]);
  });

  it('sends a failed item again alone, and follows up a closed ticket', () => {
    const results = [{ index: 0, error: 'TicketCreateFailed', details: 'no' }];
    expect(verdicts(job('completed', results), made(0))).toEqual([{ verdict: 'again', code: 'job_item_failed' }]);
    const closed = [{ id: 7, action: 'update', error: 'TicketUpdateFailed', details: 'Status: closed is not valid' }];
    expect(verdicts(job('completed', closed), [{ index: 0, ticketId: 7 }])).toEqual([{ verdict: 'followUp' }]);
  });

  it.each([
    ['failed', null],
    ['killed', null],
    ['completed', []],
  ])('asks for items of which a %s job says nothing', (status, results) => {
    expect(verdicts(job(status, results), made(0))).toEqual([{ verdict: 'unknown', code: `job_${status}` }]);
  });

  it('does not take an entry without an id for a ticket', () => {
    expect(verdicts(job('completed', [{ index: 0 }]), made(0))).toMatchObject([{ verdict: 'unknown' }]);
  });
});

describe('the jobs in an answer', () => {
  it('are one or several, and nothing else', () => {
    const status = { id: 'V3-1', status: 'queued', total: 3, results: null, job_type: 'Bulk Create Ticket' };
    const told = { id: 'V3-1', status: 'queued', total: 3, results: null, jobType: 'Bulk Create Ticket' };
    expect(jobIn({ job_status: status })).toEqual(told);
    expect(jobsIn({ job_statuses: [status, null, { id: 7 }] })).toEqual([told]);
  });

  it('are not none where it tells nothing of jobs', () => {
    for (const body of ['nonsense', null, {}, { job_statuses: null }]) {
      expect(jobsIn(body)).toBeNull();
      expect(jobIn(body)).toBeNull();
    }
  });
});

describe('a look that doesn’t tell a job’s end', () => {
  const old = { polls: 5, misses: 2, ageMs: FORGOTTEN_AFTER_MS };

  it('ends one that is missing only after several looks, and where it is old', () => {
    expect(afterLook(old, 'missing')).toBe('forgotten');
    expect(afterLook({ ...old, misses: 1 }, 'missing')).toBe('later');
    expect(afterLook({ ...old, ageMs: FORGOTTEN_AFTER_MS - 1 }, 'missing')).toBe('later');
    expect(afterLook(old, 'untold')).toBe('later');
    expect(afterLook(old, 'running')).toBe('later');
  });

  it.each(['running', 'missing', 'untold'] as const)('is one of a bounded number: %s', (look) => {
    const job = { misses: 0, ageMs: 0 };
    expect(afterLook({ ...job, polls: MAX_POLLS_PER_JOB - 1 }, look)).toBe('stuck');
    expect(afterLook({ ...job, polls: MAX_POLLS_PER_JOB }, look)).toBe('later');
    expect(afterLook({ ...job, polls: MAX_POLLS_PER_JOB + MAX_POLLS_WHILE_STUCK - 1 }, look)).toBe('abandoned');
  });
});

describe('polling a job', () => {
  it('is timed by its size, so that one look mostly suffices', () => {
    expect(pollInMs(100, 0)).toBeGreaterThan(16_000);
    expect(pollInMs(100, 0)).toBeLessThan(20_000);
    expect(pollInMs(1, 0)).toBeLessThan(4_000);
  });

  it('gets rarer, within a bound', () => {
    expect(pollInMs(100, 2)).toBeGreaterThan(pollInMs(100, 1));
    expect(pollInMs(100, 50)).toBe(60_000);
    expect(pollInMs(100, MAX_POLLS_PER_JOB)).toBe(600_000);
  });
});
