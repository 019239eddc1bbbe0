import { describe, expect, it } from '@jest/globals';
import { httpAnswer } from './http-answer.js';

describe('an answer over HTTP', () => {
  it.each(['granted', 'settled', 'cancelled', 'held', 'released', 'observed', 'usage', 'forecast'])(
    'is 200 where it is %s',
    (answer) => expect(httpAnswer({ answer })).toEqual({ status: 200, retryAfterS: null, body: { answer } }),
  );

  it.each([
    [0, 1],
    [999, 1],
    [1_001, 2],
    [undefined, 1],
  ])('tells a refusal and an absence with whole seconds, never none: %s ms', (retryInMs, retryAfterS) => {
    expect(httpAnswer({ answer: 'refused', retryInMs })).toMatchObject({ status: 429, retryAfterS });
    expect(httpAnswer({ answer: 'unavailable', retryInMs })).toMatchObject({ status: 503, retryAfterS });
  });

  it.each([
    ['malformed_json', 400],
    ['invalid_request', 400],
    ['bad_credentials', 401],
    ['not_found', 404],
    ['request_id_reused', 409],
    ['too_many_calls', 409],
    ['unknown_call', 409],
    ['body_too_large', 413],
    ['wrong_content_type', 415],
    ['never_fits', 422],
    ['unknown_grant', 422],
    ['toString', 422],
  ])('is rejected as %s by %d', (code, status) => {
    expect(httpAnswer({ answer: 'rejected', code })).toMatchObject({ status, retryAfterS: null });
  });

  it.each([null, 'granted', {}, { answer: 1 }])('is an absence where it is nothing of the protocol: %j', (answer) => {
    expect(httpAnswer(answer)).toMatchObject({ status: 503, body: { code: 'internal_error' } });
  });
});
