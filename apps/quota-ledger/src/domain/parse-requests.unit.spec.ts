import { describe, expect, it } from '@jest/globals';
import {
  parseAcquire,
  parseCancel,
  parseForecast,
  parseHold,
  parseObserve,
  parseRelease,
  parseSettle,
  parseUsage,
} from './parse-requests.js';

const ACQUIRE = { requestId: 'r', kind: 'other', calls: { min: 1, max: 2 } };
const SETTLE = { requestId: 'r', grantId: 'g', used: [{ sentAgoMs: 5, answeredAgoMs: 1 }], returned: 1 };

describe('parseAcquire', () => {
  it('fills in what may be left out, and passes unknown fields over', () => {
    expect(parseAcquire({ ...ACQUIRE, colour: 'blue' })).toEqual({
      ok: true,
      value: { ...ACQUIRE, priority: 'normal', waitMs: 0 },
    });
  });

  it.each([
    ['no object', 'text', 'object'],
    ['a missing id', { ...ACQUIRE, requestId: undefined }, 'requestId'],
    ['a long id', { ...ACQUIRE, requestId: 'x'.repeat(129) }, 'requestId'],
    ['an id that no table takes', { ...ACQUIRE, requestId: 'a\0b' }, 'requestId'],
    ['an unknown kind', { ...ACQUIRE, kind: 'tickets.destroy' }, 'kind'],
    ['no calls', { ...ACQUIRE, calls: null }, 'calls'],
    ['fewer at most than at least', { ...ACQUIRE, calls: { min: 3, max: 2 } }, 'calls'],
    ['half a call', { ...ACQUIRE, calls: { min: 0.5, max: 2 } }, 'calls'],
    ['an unknown priority', { ...ACQUIRE, priority: 'urgent' }, 'priority'],
    ['a wait that is no number', { ...ACQUIRE, waitMs: '5' }, 'waitMs'],
    ['keys for fewer calls than asked', { ...ACQUIRE, keys: [{ ticket: '1' }] }, 'keys'],
    ['keys that are no texts', { ...ACQUIRE, keys: [{ ticket: 1 }, { ticket: 2 }] }, 'keys'],
  ])('says what is wrong with %s', (_, body, named) => {
    expect(parseAcquire(body)).toMatchObject({ ok: false, reason: expect.stringContaining(named) });
  });
});

describe('parseSettle', () => {
  it('reads used and returned calls', () => {
    expect(parseSettle(SETTLE)).toEqual({ ok: true, value: SETTLE });
    const unanswered = { ...SETTLE, used: [{ call: 0, sentAgoMs: 5 }] };
    expect(parseSettle(unanswered)).toMatchObject({
      value: { used: [{ call: 0, sentAgoMs: 5, answeredAgoMs: null }] },
    });
  });

  it.each([
    ['an answer before the call', { ...SETTLE, used: [{ sentAgoMs: 1, answeredAgoMs: 2 }] }, 'used'],
    ['a time in the future', { ...SETTLE, used: [{ sentAgoMs: -1, answeredAgoMs: null }] }, 'used'],
    ['no list', { ...SETTLE, used: 1 }, 'used'],
    ['a part of a call', { ...SETTLE, returned: 0.5 }, 'returned'],
    ['no grant', { ...SETTLE, grantId: '' }, 'grantId'],
  ])('says what is wrong with %s', (_, body, named) => {
    expect(parseSettle(body)).toMatchObject({ ok: false, reason: expect.stringContaining(named) });
  });
});

describe('parseRelease, parseObserve and parseUsage', () => {
  it('read what is right', () => {
    expect(parseRelease({ requestId: 'r', holdIds: ['h'] }).ok).toBe(true);
    const seen = { kind: 'other', status: 429, headers: { 'Retry-After': '3' }, refusal: 'x'.repeat(9_000) };
    expect(parseObserve(seen)).toMatchObject({
      value: { grantId: null, headers: { 'retry-after': '3' }, answeredAgoMs: 0 },
    });
    expect(parseUsage(null, () => null)).toEqual({
      ok: true,
      value: { per: 'day', integration: null, from: null, to: null },
    });
    const from = '2026-01-05T10:00:00+01:00';
    expect(parseUsage({ per: 'hour', from }, () => 5)).toMatchObject({ value: { per: 'hour', from: 5 } });
  });

  it('say what is wrong', () => {
    expect(parseRelease({ requestId: 'r', holdIds: [1] })).toMatchObject({
      reason: expect.stringContaining('holdIds'),
    });
    expect(parseObserve({ kind: 'other', status: '429' })).toMatchObject({ reason: expect.stringContaining('status') });
    expect(parseObserve({ kind: 'other', status: 429, headers: { a: 1 } })).toMatchObject({
      reason: expect.stringContaining('headers'),
    });
    expect(parseUsage({ per: 'week' }, () => null)).toMatchObject({ reason: expect.stringContaining('per') });
    for (const from of ['x', '2026-01-05', '2026-01-05T10:00:00', 'Mon, 05 Jan 2026 10:00:00 GMT'])
      expect(parseUsage({ from }, () => 5)).toMatchObject({ reason: expect.stringContaining('ISO') });
    expect(parseUsage({ to: '2026-01-05T10:00:00Z' }, () => null).ok).toBe(false);
  });

  it('let no id through that could not be stored as it is', () => {
    for (const id of ['a\u0000', 'a\ud800', '\udc00a']) {
      expect(parseRelease({ requestId: id, holdIds: [] }).ok).toBe(false);
      expect(parseUsage({ integration: id }, () => null).ok).toBe(false);
    }
    expect(parseRelease({ requestId: 'ä😀', holdIds: [] }).ok).toBe(true);
  });
});

describe('parseCancel, parseHold and parseForecast', () => {
  const forecast = { integration: 'ccai', kind: 'other', calls: 5, priority: 'live' };

  it('read what is right, and fill in what may be left out', () => {
    expect(parseCancel({ requestId: 'r' })).toEqual({ ok: true, value: { requestId: 'r' } });
    const held = { requestId: 'r', limit: 'inflight-jobs', places: 1 };
    expect(parseHold({ requestId: 'r', limit: 'inflight-jobs' })).toEqual({ ok: true, value: held });
    expect(parseForecast(forecast)).toEqual({ ok: true, value: forecast });
    const least = { integration: 'ccai', kind: 'other' };
    expect(parseForecast(least)).toMatchObject({ value: { calls: 1, priority: 'normal' } });
  });

  it.each([
    ['no request id', parseCancel({}), 'requestId'],
    ['no places', parseHold({ requestId: 'r', limit: 'x', places: 0 }), 'places'],
    ['a limit without a name', parseHold({ requestId: 'r', limit: '' }), 'limit'],
    ['no integration', parseForecast({ ...forecast, integration: '' }), 'integration'],
    ['an unknown kind', parseForecast({ ...forecast, kind: 'x' }), 'kind'],
    ['half a call', parseForecast({ ...forecast, calls: 0.5 }), 'calls'],
    ['an unknown priority', parseForecast({ ...forecast, priority: 'x' }), 'priority'],
  ])('say what is wrong with %s', (_, parsed, named) => {
    expect(parsed).toMatchObject({ ok: false, reason: expect.stringContaining(named) });
  });
});
