import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { interactionsOf, readSample, replayed, SAMPLE_BEGINS_MS } from './sample-day.js';

const sample = readSample(readFileSync(join(import.meta.dirname, '..', '..', 'sample', 'sample-day.jsonl'), 'utf8'));

describe('the sample day', () => {
  it('holds a few hundred calls and chats, with duplicates and events out of order', () => {
    const interactions = new Set(sample.flatMap(interactionsOf));
    const ids = sample
      .flatMap(({ body }) => body.events.map((event) => event['event_id']))
      .filter((id) => id !== undefined);
    const times = sample.flatMap(({ body }) => body.events.map((event) => event['timestamp'] as number | undefined));
    const stamped = times.filter((time) => time !== undefined);
    expect(interactions.size).toBe(240);
    expect([...interactions].some((id) => id.startsWith('chat-'))).toBe(true);
    expect(new Set(ids).size).toBeLessThan(ids.length);
    expect(stamped.some((time, index) => index > 0 && time < stamped[index - 1]!)).toBe(true);
  });

  it('moves every instant inside the bodies with its pace', () => {
    const startMs = 1_900_000_000_000;
    const moved = replayed(
      [
        {
          atMs: 60_000,
          feed: 'calls',
          body: {
            count: 1,
            events: [
              { timestamp: SAMPLE_BEGINS_MS + 60_000, ends_at: '2026-01-05T09:00:30.000Z', item: { call_id: 60_000 } },
            ],
          },
        },
      ],
      startMs,
      30,
    );
    expect(moved).toEqual([
      {
        atMs: 2_000,
        feed: 'calls',
        body: {
          count: 1,
          events: [
            { timestamp: startMs + 2_000, ends_at: new Date(startMs + 1_000).toISOString(), item: { call_id: 60_000 } },
          ],
        },
      },
    ]);
  });
});
