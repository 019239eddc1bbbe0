import { instantOf, isoOf } from '#contracts';

/** One webhook delivery of the sample: when it arrives (ms from the sample's beginning), at which door, with which body. */
export interface Delivery {
  readonly atMs: number;
  readonly feed: 'calls' | 'chats' | 'metadata';
  readonly body: { readonly count: number; readonly events: readonly Readonly<Record<string, unknown>>[] };
}

/** The instant at which the committed sample begins, epoch ms (2026-01-05T09:00:00Z). */
export const SAMPLE_BEGINS_MS = 1_767_603_600_000;

/** The sample's text, one delivery a line, in order of time. */
export function readSample(text: string): Delivery[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Delivery);
}

/** Which interactions a delivery speaks of, as the CRM's external ids will name them. */
export function interactionsOf(delivery: Delivery): string[] {
  return delivery.body.events.map((event) => {
    const item = (event['item'] ?? event) as Record<string, unknown>;
    const chat = delivery.feed === 'chats' || 'chat_id' in item || 'chat_type' in item;
    const id = item['call_id'] ?? item['chat_id'] ?? item['CallID'] ?? item['id'];
    return `${chat ? 'chat' : 'call'}-${String(id)}`;
  });
}

/**
 * The sample played from `startMs` on, `pace` times as fast as it was recorded: arrival times become delays from the start,
 * and every instant inside the bodies moves along, so that nothing looks older than it is.
 */
export function replayed(sample: readonly Delivery[], startMs: number, pace: number): Delivery[] {
  const moved = (epochMs: number): number => Math.round(startMs + (epochMs - SAMPLE_BEGINS_MS) / pace);
  return sample.map((delivery) => ({
    ...delivery,
    atMs: delivery.atMs / pace,
    body: moveInstants(delivery.body, moved) as Delivery['body'],
  }));
}

const ISO_INSTANT = /^\d{4}-\d{2}-\d{2}T/;

function moveInstants(value: unknown, moved: (epochMs: number) => number, key = ''): unknown {
  if (Array.isArray(value)) return value.map((entry) => moveInstants(entry, moved));
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([name, entry]) => [name, moveInstants(entry, moved, name)]));
  if (key === 'timestamp' && typeof value === 'number') return moved(value);
  if (typeof value === 'string' && ISO_INSTANT.test(value)) {
    const at = instantOf(value);
    return at === null ? value : isoOf(moved(at));
  }
  return value;
}
