import { describe, expect, it } from '@jest/globals';
import { effectOfItem, effectOfResolution, effectOfSubmission, effectOfVerdict, type EffectInput } from './effect.js';

const input: EffectInput = { commands: 1, attempts: 2, own: true, timeScale: 10, random: 0, underWayForMs: 700 };

describe('what becomes of a write', () => {
  it('is done with the ticket that the answer names', () => {
    expect(effectOfVerdict({ verdict: 'done' }, 7, input)).toEqual({ effect: 'done', ticketId: 7 });
  });

  it('is asked for where the answer names none', () => {
    expect(effectOfVerdict({ verdict: 'done' }, null, input)).toMatchObject({ effect: 'unknown' });
  });

  it('goes back at a limit without an attempt spent', () => {
    const verdict = { verdict: 'waitForLimit', limit: 'account', name: null, waitMs: 1 } as const;
    expect(effectOfVerdict(verdict, null, input)).toMatchObject({ effect: 'waiting', inMs: 0, attempts: 2 });
    expect(effectOfVerdict({ verdict: 'pauseAccount', code: 'unauthorized' }, null, input)).toMatchObject({
      attempts: 2,
    });
  });

  it('waits in the CRM’s own time', () => {
    const verdict = { verdict: 'retryAfter', waitMs: 20_000, code: 'conflict' } as const;
    expect(effectOfVerdict(verdict, null, input)).toMatchObject({ effect: 'waiting', inMs: 2_000, attempts: 3 });
  });

  it('is not asked for while the call may be under way, nor before the CRM wants to be asked', () => {
    const unknown = (waitMs: number | null) => effectOfVerdict({ verdict: 'unknown', waitMs, code: 'x' }, null, input);
    expect(unknown(null)).toMatchObject({ askInMs: 700 });
    expect(unknown(20_000)).toMatchObject({ askInMs: 2_000 });
  });

  it('is told apart before it is parked for its content', () => {
    const park = { verdict: 'park', code: 'crm_invalid', text: 't' } as const;
    expect(effectOfVerdict(park, null, { ...input, commands: 3 })).toMatchObject({ effect: 'waiting', solo: true });
    expect(effectOfVerdict(park, null, input)).toEqual({ effect: 'parked', code: 'crm_invalid', text: 't' });
    expect(effectOfVerdict({ ...park, code: 'crm_not_found' }, null, { ...input, commands: 3 })).toMatchObject({
      effect: 'parked',
    });
  });

  it('goes again alone where a job’s item failed, until it has failed too often', () => {
    expect(effectOfItem({ verdict: 'again', code: 'x' }, input)).toMatchObject({ effect: 'waiting', attempts: 3 });
    expect(effectOfItem({ verdict: 'again', code: 'x' }, { ...input, attempts: 7 })).toMatchObject({
      effect: 'parked',
      code: 'attempts_exhausted',
    });
  });

  it('follows from what asking has shown', () => {
    expect(effectOfResolution({ resolution: 'done', ticketId: 3 }, input)).toEqual({ effect: 'done', ticketId: 3 });
    expect(effectOfResolution({ resolution: 'planAgain' }, input)).toMatchObject({ effect: 'waiting' });
    expect(effectOfResolution({ resolution: 'park', code: 'undecided', text: 't' }, input)).toMatchObject({
      effect: 'parked',
    });
    expect(effectOfResolution({ resolution: 'sendSame' }, input)).toBeNull();
  });
});

describe('what becomes of the items of a job that failed as a whole', () => {
  const many = { ...input, items: 40 };
  const half = { effect: 'waiting', inMs: 0, attempts: 2, solo: false, mostInJob: 20 };

  it.each(['crm_invalid', 'crm_too_large', 'crm_bad_request', 'crm_too_many_values'])(
    'is two halves where content is to blame (%s), at no attempt of their own',
    (code) => {
      expect(effectOfSubmission({ verdict: 'park', code, text: 't' }, many)).toEqual({ ...half, code });
      expect(effectOfSubmission({ verdict: 'park', code, text: 't' }, { ...many, items: 1 })).toMatchObject({
        mostInJob: 1,
      });
    },
  );

  it('is heard singly by each where it is another refusal', () => {
    const forbidden = { verdict: 'park', code: 'crm_forbidden', text: 't' } as const;
    expect(effectOfSubmission(forbidden, many)).toMatchObject({
      effect: 'waiting',
      attempts: 3,
      code: 'crm_forbidden',
    });
    expect(effectOfSubmission(forbidden, many)).not.toHaveProperty('mostInJob');
  });

  it('is two halves where none of it is at the CRM, unless the CRM failed for everybody', () => {
    const absent = { resolution: 'planAgain' } as const;
    expect(effectOfResolution(absent, many)).toEqual({ ...half, code: 'not_at_the_crm' });
    expect(effectOfResolution(absent, { ...many, own: false })).not.toHaveProperty('mostInJob');
    expect(effectOfResolution(absent, { ...many, items: 1 })).toMatchObject({ attempts: 3 });
  });

  it('waits for a limit, or for an answer, as a whole', () => {
    const limit = { verdict: 'waitForLimit', limit: 'jobs', name: 'inflight-jobs', waitMs: null } as const;
    expect(effectOfSubmission(limit, many)).toEqual({ ...half, code: 'limit_jobs', mostInJob: undefined });
    expect(effectOfSubmission({ verdict: 'unknown', waitMs: null, code: 'http_500' }, many)).toMatchObject({
      effect: 'unknown',
      askInMs: 700,
      own: true,
    });
  });

  it('is one going on alone where it alone failed in a job that got through', () => {
    expect(effectOfItem({ verdict: 'again', code: 'job_item_failed' }, many)).toMatchObject({ attempts: 3 });
  });
});
