import { describe, expect, it } from '@jest/globals';
import { effectOfItem, effectOfResolution, effectOfVerdict, type EffectInput } from './effect.js';

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
