import { describe, expect, it } from '@jest/globals';
import { isOlder } from './connect-nats.js';
import { ack, deadLetter, retryAfter } from './disposition.js';
import { covers } from './nats-doors.js';

describe("a door's pattern", () => {
  it.each([
    ['quota.v1.*.*.acquire', 'quota.v1.demo.ccai.acquire', true],
    ['quota.v1.*.*.acquire', 'quota.v1.demo.*.acquire', true],
    ['quota.v1.*.*.acquire', 'quota.v1.*.*.acquire', true],
    ['quota.v1.*.*.acquire', 'quota.v1.demo.ccai.settle', false],
    ['quota.v1.*.*.acquire', 'quota.v1.demo.acquire', false],
    ['quota.v1.*.*.acquire', 'quota.v1.demo.>', false],
    ['quota.v1.demo.*.acquire', 'quota.v1.*.*.acquire', false],
    ['ingest.v1.>', 'ingest.v1.demo.ccai.calls', true],
    ['ingest.v1.>', 'ingest.v1', false],
    ['ingest.v1.>', 'ingest.v1.demo.>', true],
    ['a.b', 'a.b', true],
    ['a', 'a.b', false],
  ])('%s covers %s: %s', (pattern, subject, expected) => {
    expect(covers(pattern, subject)).toBe(expected);
  });
});

describe("a server's version", () => {
  it.each([
    ['2.8.4', '2.9.0', true],
    ['2.9.10', '2.9.2', false],
    ['2.9.10', '2.10.0', true],
    ['2.10.0-beta.1', '2.10.0', false],
    ['3.0.0', '2.9.0', false],
    ['unknown', '2.9.0', false],
  ])('%s is older than %s: %s', (version, than, expected) => {
    expect(isOlder(version, than)).toBe(expected);
  });
});

describe('a disposition', () => {
  it('is a plain value', () => {
    expect([ack, retryAfter(500), deadLetter('not JSON')]).toEqual([
      { kind: 'ack' },
      { kind: 'retryAfter', delayMs: 500 },
      { kind: 'deadLetter', reason: 'not JSON' },
    ]);
  });
});
