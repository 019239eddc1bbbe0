import { describe, expect, it } from '@jest/globals';
import { DEFAULT_POLICY } from '#accounts';
import { type Clock, systemClock } from '#clock';
import { type Command, encodeEnvelope } from '#contracts';
import type { Delivered } from '#jetstream';
import { silentLog } from '#telemetry';
import { eventOf } from '../test/sample-event.js';
import { BusUnavailable, type CommandBus } from './command.bus.js';
import { MAX_FAILURES, PlanHandler } from './plan.handler.js';

const WAIT_MS = 10_000;

function delivered(sequence: number, deliveryCount = 1): Delivered {
  const data = encodeEnvelope(eventOf('assigned'));
  return { subject: 's', data, sequence, deliveryCount, storedAt: 0, header: () => null };
}

/** A handler with everything in its test's hands. */
function handlerOf(bus: CommandBus = { store: () => Promise.resolve() }, known = true) {
  const now = { atMs: 0, known, policy: DEFAULT_POLICY as typeof DEFAULT_POLICY | null, dryRun: false };
  const clock: Clock = { ...systemClock, nowMs: () => now.atMs, monotonicMs: () => now.atMs };
  const findPolicy = () => (now.known ? { version: 1, policy: now.policy, dryRun: now.dryRun } : null);
  const handler = new PlanHandler(bus, findPolicy, (template) => template, clock, silentLog, WAIT_MS);
  const kindOf = async (one: Delivered): Promise<string> => (await handler.handle([one]))[0]!.kind;
  return { now, kindOf };
}

describe('planning an event', () => {
  it('counts its own failures, not deliveries that an outage caused', async () => {
    let error: Error = new BusUnavailable(10, { cause: null });
    const { kindOf } = handlerOf({ store: () => Promise.reject(error) });
    for (let count = 1; count <= 20; count += 1) expect(await kindOf(delivered(1, count))).toBe('retryAfter');
    error = new Error('broken');
    for (let failures = 1; failures < MAX_FAILURES; failures += 1)
      expect(await kindOf(delivered(1, 20 + failures))).toBe('retryAfter');
    expect(await kindOf(delivered(1, 30))).toBe('deadLetter');
  });

  it('puts aside at once what belongs to an account to which nothing is written', async () => {
    const { now, kindOf } = handlerOf({ store: () => Promise.reject(new Error('must not be stored')) });
    now.policy = null;
    expect(await kindOf(delivered(1))).toBe('deadLetter');
  });

  it('marks what it plans in a dry run, and nothing else', async () => {
    const stored: Command[] = [];
    const { now, kindOf } = handlerOf({ store: (command) => Promise.resolve(void stored.push(command)) });
    await kindOf(delivered(1));
    now.dryRun = true;
    await kindOf(delivered(2));
    expect(stored.map(({ id, data }) => [id, data.dryRun])).toEqual([
      [stored[0]!.id, undefined],
      [stored[0]!.id, true],
    ]);
  });

  it('waits for an unknown account once, not for each of its events', async () => {
    const { now, kindOf } = handlerOf(undefined, false);
    for (; now.atMs < WAIT_MS; now.atMs += 1_000) expect(await kindOf(delivered(1))).toBe('retryAfter');
    expect(await kindOf(delivered(1))).toBe('deadLetter');
    expect(await kindOf(delivered(2))).toBe('deadLetter');
    now.known = true;
    expect(await kindOf(delivered(3))).toBe('ack');
    now.known = false;
    expect(await kindOf(delivered(4))).toBe('retryAfter');
  });
});
