import fc from 'fast-check';
import { describe, expect, it } from '@jest/globals';
import { encodeEnvelope, parseInteractionEvent, subjects } from '#contracts';
import { instantOf } from './instant.js';
import { openEnvelope } from './open-envelope.js';
import { readEvent } from './read-event.js';

const NOW = Date.UTC(2026, 0, 5);
const FEEDS = ['calls', 'chats', 'metadata'] as const;
const KEYS = [
  'event_id', 'timestamp', 'item', 'call_id', 'CallID', 'chat_id', 'id', 'state', 'Participants', 'participants', 'type',
  'dn', 'dispositions', 'ends_at', 'connected_at', 'agent_info', 'end_user', 'rating', 'recording_url', '__proto__', 'status',
  'queue_path_names', 'initiator', 'call_type', 'feedback', 'deflection',
]; // prettier-ignore

/** JSON of the right names with anything in them. */
const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.jsonValue({ maxDepth: 1 }),
    fc.constantFrom(
      'agent',
      'external',
      'connected',
      'disconnected',
      '+12025550147',
      'end_user_5',
      '2026-01-04T00:00:00Z',
    ),
    fc.array(tie('tree'), { maxLength: 4 }),
    fc.dictionary(fc.constantFrom(...KEYS), tie('tree'), { maxKeys: 8 }),
  ),
}));

describe('reading an event', () => {
  it('never throws, and gives a message that the planner can read and NATS can carry', () => {
    fc.assert(
      fc.property(tree, fc.constantFrom(...FEEDS), (raw, feed) => {
        const read = readEvent(raw, { account: 'demo', feed, receivedAt: NOW, traceparent: null });
        if (!read.ok) return;
        const { event } = read;
        expect(parseInteractionEvent(encodeEnvelope(event))).toEqual({ ok: true, value: event });
        const subject = subjects.interaction(event.account, event.data.interactionId, event.type);
        expect(subject).toMatch(/^interactions\.v1\.demo\.(?:call|chat)-[A-Za-z0-9_~-]+\.[a-z]+$/);
        expect(event.id).not.toMatch(/[\r\n]/);
        expect(encodeEnvelope(event).length).toBeLessThan(256 * 1024);
      }),
      { numRuns: 3_000 },
    );
  });

  it('is the same whenever it is done', () => {
    fc.assert(
      fc.property(tree, fc.constantFrom(...FEEDS), fc.nat(86_400_000), (raw, feed, laterMs) => {
        const arrival = { account: 'demo', feed, receivedAt: NOW, traceparent: null };
        const [once, again] = [readEvent(raw, arrival), readEvent(raw, { ...arrival, receivedAt: NOW + laterMs })];
        expect(once.ok && once.event.id).toEqual(again.ok && again.event.id);
      }),
    );
  });
});

describe('opening an envelope', () => {
  it('gives back as many events as were put in', () => {
    fc.assert(
      fc.property(fc.array(fc.object(), { maxLength: 20 }), (events) => {
        expect(openEnvelope({ count: events.length, events }, 20)).toEqual({ ok: true, events, countDiffers: false });
      }),
    );
  });
});

describe('an instant', () => {
  it('is read from ISO 8601 as the platform reads it', () => {
    fc.assert(
      fc.property(fc.date({ min: new Date(0), max: new Date('2100-01-01'), noInvalidDate: true }), (date) => {
        expect(instantOf(date.toISOString())).toBe(date.getTime());
        expect(instantOf(date.getTime())).toBe(date.getTime());
      }),
    );
  });

  it.each([
    ['2026-01-05T09:00:00+02:00', Date.UTC(2026, 0, 5, 7)],
    ['2026-01-05T09:00:00-0530', Date.UTC(2026, 0, 5, 14, 30)],
    ['2026-01-05 09:00:00 UTC', Date.UTC(2026, 0, 5, 9)],
    ['2026-01-05T09:00:00.123456789Z', Date.UTC(2026, 0, 5, 9, 0, 0, 123)],
    ['2026-01-05', Date.UTC(2026, 0, 5)],
    ['1767603603196', 1_767_603_603_196],
  ])('is read from %s', (text, instant) => {
    expect(instantOf(text)).toBe(instant);
  });

  it.each(['', 'now', '2026-13-01', '2026-02-30', '12:00', '2026-01-05T25:00:00Z', '1', null, true, {}, Number.NaN])(
    'is not read from %p',
    (value) => {
      expect(instantOf(value)).toBeNull();
    },
  );
});
