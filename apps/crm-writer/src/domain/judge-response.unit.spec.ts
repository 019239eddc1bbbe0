import { describe, expect, it } from '@jest/globals';
import { type CrmResponse, judgeResponse, type ResponseBody } from './judge-response.js';

const json = (value: unknown): ResponseBody => ({ type: 'json', value });
const text = (value: string): ResponseBody => ({ type: 'text', text: value });
const answer = (status: number, body: ResponseBody, headers: Record<string, string> = {}): CrmResponse => ({
  status,
  headers,
  body,
});
const invalid = (details: unknown): ResponseBody =>
  json({ error: 'RecordInvalid', description: 'Record validation errors', details });

describe('judging an answer to a write', () => {
  const judge = (response: CrmResponse) => judgeResponse(response, true);

  it.each([200, 201])('finds it done at %i with JSON', (status) => {
    expect(judge(answer(status, json({ ticket: { id: 1 } })))).toEqual({ verdict: 'done' });
  });

  it.each<ResponseBody>([text('<html>'), { type: 'none' }, { type: 'unreadable', reason: 'x' }])(
    'does not take a 200 for done whose body is none of the API’s',
    (body) => {
      expect(judge(answer(200, body))).toEqual({ verdict: 'unknown', waitMs: null, code: 'unreadable_answer' });
    },
  );

  it('knows the account’s limit by its text', () => {
    const headers = { 'retry-after': '40', 'x-rate-limit-remaining': '0' };
    expect(judge(answer(429, text('Number of allowed API requests per minute exceeded'), headers))).toEqual({
      verdict: 'waitForLimit',
      limit: 'account',
      name: null,
      waitMs: 40_000,
    });
  });

  it('takes the wait for the account’s limit from ratelimit-reset where retry-after is absent', () => {
    const headers = { 'ratelimit-remaining': '0', 'ratelimit-reset': '17' };
    expect(judge(answer(429, text('Number of allowed API requests per minute exceeded'), headers))).toMatchObject({
      limit: 'account',
      waitMs: 17_000,
    });
  });

  it('knows an endpoint’s limit by its header', () => {
    const headers = {
      'x-rate-limit-remaining': '300',
      'zendesk-ratelimit-tickets-index': 'total=100; remaining=9; resets=41',
      'zendesk-ratelimit-tickets-update': 'total=100; remaining=0; resets=41',
    };
    const body = json({ error: 'APIRateLimitExceeded', description: 'Too many' });
    expect(judge(answer(429, body, headers))).toEqual({
      verdict: 'waitForLimit',
      limit: 'endpoint',
      name: 'tickets-update',
      waitMs: 41_000,
    });
  });

  it('takes an unnamed limit for the endpoint’s while the account has calls left', () => {
    const body = json({ error: 'APIRateLimitExceeded', description: 'Too many' });
    expect(judge(answer(429, body, { 'x-rate-limit-remaining': '3', 'retry-after': '5' }))).toMatchObject({
      limit: 'endpoint',
      name: null,
      waitMs: 5_000,
    });
  });

  it('leaves the limits alone where the edge protection speaks', () => {
    expect(judge(answer(429, text('Rate limited by Zendesk edge protection')))).toMatchObject({ limit: 'edge' });
    expect(judge(answer(429, { type: 'none' }))).toMatchObject({ limit: 'edge' });
  });

  it.each([429, 422, 400, 503])('knows too many jobs by the error’s name, at %i too', (status) => {
    const body = json({ error: 'TooManyJobs', description: 'Too many jobs', current_job_ids: ['a'] });
    expect(judge(answer(status, body))).toEqual({
      verdict: 'waitForLimit',
      limit: 'jobs',
      name: 'inflight-jobs',
      waitMs: null,
    });
  });

  it('leaves it unknown at 503 with Retry-After, for as long as that says', () => {
    expect(judge(answer(503, text('timeout'), { 'retry-after': '9' }))).toEqual({
      verdict: 'unknown',
      waitMs: 9_000,
      code: 'http_503',
    });
  });

  it('leaves it unknown at 503 and 500', () => {
    expect(judge(answer(503, text('')))).toMatchObject({ verdict: 'unknown', waitMs: null });
    expect(judge(answer(500, json({ error: 'InternalServerError' })))).toEqual({
      verdict: 'unknown',
      waitMs: null,
      code: 'internal_server_error',
    });
  });

  it('tries a conflict again', () => {
    expect(judge(answer(409, json({ error: 'UpdateConflict', description: 'x' })))).toMatchObject({
      verdict: 'retryAfter',
      code: 'conflict',
    });
  });

  it('parks what has too many values', () => {
    const body = json({
      error: 'TooManyValues',
      description: 'Parameter  cannot specify more than 100 values',
      max_count: 100,
    });
    expect(judge(answer(400, body))).toEqual({ verdict: 'park', code: 'crm_too_many_values', text: 'TooManyValues' });
  });

  it('looks up what a key was used for with other bytes', () => {
    const body = json({
      error: 'IdempotentRequestError',
      description: "Request parameters don't match the given idempotency key",
    });
    expect(judge(answer(400, body))).toEqual({ verdict: 'unknown', waitMs: null, code: 'idempotency_mismatch' });
  });

  it('pauses the account at 401', () => {
    expect(judge(answer(401, json({ error: "Couldn't authenticate you" })))).toEqual({
      verdict: 'pauseAccount',
      code: 'unauthorized',
    });
  });

  it('parks what is forbidden, gone or too large', () => {
    const forbidden = json({ error: { title: 'Forbidden', message: 'You do not have access' } });
    expect(judge(answer(403, forbidden))).toEqual({ verdict: 'park', code: 'crm_forbidden', text: 'Forbidden' });
    expect(judge(answer(404, json({ error: 'RecordNotFound', description: 'Not found' })))).toMatchObject({
      code: 'crm_not_found',
    });
    expect(judge(answer(413, json({ error: 'AttachmentTooLarge' })))).toMatchObject({ code: 'crm_too_large' });
  });

  it('parks what is invalid with the fields and errors, without their values', () => {
    const body = invalid({
      custom_field_7: [{ description: 'Someone’s text is no number', error: 'InvalidValue' }],
      subject: [{ description: 'cannot be blank', error: 'BlankValue' }],
    });
    expect(judge(answer(422, body))).toEqual({
      verdict: 'park',
      code: 'crm_invalid',
      text: 'RecordInvalid: custom_field_7 InvalidValue, subject BlankValue',
    });
  });

  it('names the fields whose value is taken already', () => {
    const body = invalid({ external_id: [{ description: 'x has already been taken', error: 'DuplicateValue' }] });
    expect(judge(answer(422, body))).toEqual({ verdict: 'duplicate', fields: ['external_id'] });
  });

  it.each([[[{ description: 'Status: closed is not valid', error: 'InvalidValue' }]], ['Status: closed is not valid']])(
    'wants a follow-up where the ticket is closed',
    (base) => {
      expect(judge(answer(422, invalid({ base })))).toEqual({ verdict: 'followUp' });
    },
  );

  it.each<[string, ResponseBody]>([
    ['a list of errors', json({ errors: [{ code: 'Bad', title: 'Bad thing', detail: 'someone’s text' }] })],
    ['a bare error', json('nope')],
    ['plain text', text('someone’s text')],
  ])('parks an unknown refusal in any envelope (%s) without repeating its text', (_name, body) => {
    const verdict = judge(answer(418, body));
    expect(verdict).toMatchObject({ verdict: 'park', code: 'crm_http_418' });
    expect(JSON.stringify(verdict)).not.toContain('someone');
  });

  it.each<[number, ResponseBody]>([
    [400, json({ error: 'someone’s text' })],
    [503, json({ error: 'someone’s text' })],
    [400, json({ errors: [{ code: 'someone said', title: 'someone said' }] })],
    [422, json({ error: 'RecordInvalid', details: { 'someone’s field': [{ error: 'someone’s text' }] } })],
    [422, json({ error: { title: 'someone’s text', message: '' } })],
  ])('tells on names of errors only, at %i', (status, body) => {
    expect(JSON.stringify(judge(answer(status, body)))).not.toContain('someone');
  });

  it('does not believe a nonsensical wait', () => {
    expect(judge(answer(503, text(''), { 'retry-after': 'Wed, 21 Oct 2026 07:28:00 GMT' }))).toMatchObject({
      waitMs: null,
    });
    expect(judge(answer(503, text(''), { 'retry-after': '99999999' }))).toMatchObject({ waitMs: 86_400_000 });
  });
});

describe('judging an answer to a question', () => {
  it.each([500, 502, 503, 408])('simply asks again at %i', (status) => {
    expect(judgeResponse(answer(status, text('')), false)).toMatchObject({ verdict: 'retryAfter' });
  });

  it('asks again where the answer is none of the API’s', () => {
    expect(judgeResponse(answer(200, text('<html>')), false)).toMatchObject({
      verdict: 'retryAfter',
      code: 'unreadable_answer',
    });
  });
});
