import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { callEvents, envelope, type RunningSluice, startSluice } from '../flow/running-sluice.js';
import { until } from '../support/until.js';

const START_LIMIT_MS = 60_000;
const TEST_LIMIT_MS = 90_000;

describe('the crm-writer, killed between sending and the answer', () => {
  let sluice: RunningSluice;
  beforeEach(async () => {
    sluice = await startSluice({ account: '    batching: off\n' });
  }, START_LIMIT_MS);
  afterEach(() => sluice.stop());

  const allDone = (interactionId: string, atLeast: number) =>
    until(
      `${atLeast} commands of ${interactionId} done`,
      async () => {
        const found = (await sluice.outcomes()).filter(({ data }) => data.interactionId === interactionId);
        return found.length >= atLeast && found.every(({ type }) => type === 'done') ? found : null;
      },
      TEST_LIMIT_MS,
    );

  const holdBack = (kind: string, when: 'before' | 'after') =>
    sluice.control('POST', 'faults', { match: { kind }, effect: { type: 'silence', when }, count: 1 });

  const befallen = (kind: string) =>
    until(`a call ${kind} without an answer`, async () => {
      const { faults } = await sluice.control<{ faults: { happened: number }[] }>('GET', 'faults');
      const { calls } = await sluice.control<{ calls: { kind: string; fate: string }[] }>('GET', 'calls?limit=1000');
      return (
        faults.length === 0 ||
        faults[0]!.happened > 0 ||
        calls.some((call) => call.kind === kind && call.fate === 'silence')
      );
    });

  const killAndRestart = async (): Promise<void> => {
    const writer = sluice.stack.service('crm-writer');
    await writer.kill9();
    await writer.restart();
  };

  it.each(['before', 'after'] as const)(
    'makes the ticket once, whether the call was lost %s its effect',
    async (when) => {
      await holdBack('tickets.create', when);
      await sluice.post('calls', envelope(callEvents(1, '+12025550101').ended));
      await befallen('tickets.create');
      await killAndRestart();
      await allDone('call-1', 1);
      expect((await sluice.books()).ticketsPerExternalId).toEqual({ 'ccai-call-1': 1 });
      expect(await sluice.audit()).toMatchObject({ ok: true });
    },
    TEST_LIMIT_MS,
  );

  it.each(['before', 'after'] as const)(
    'writes the comment once, whether the call was lost %s its effect',
    async (when) => {
      const { assigned, ended } = callEvents(1, '+12025550101');
      await sluice.post('calls', envelope(assigned));
      await allDone('call-1', 1);
      await holdBack('tickets.update', when);
      await sluice.post('calls', envelope(ended));
      await befallen('tickets.update');
      await killAndRestart();
      await allDone('call-1', 2);
      const { marks } = await sluice.books();
      expect(Object.values(marks).every((count) => count === 1)).toBe(true);
      expect(await sluice.audit()).toMatchObject({ ok: true });
    },
    TEST_LIMIT_MS,
  );

  it.each(['before', 'after'] as const)(
    'makes the contact once, whether the call was lost %s its effect',
    async (when) => {
      await holdBack('users.create', when);
      await sluice.post('calls', envelope(callEvents(1, '+12025550101').ended));
      await befallen('users.create');
      await killAndRestart();
      await allDone('call-1', 1);
      const books = await sluice.books();
      expect(books.contactsPerPhone).toEqual({ '+12025550101': 1 });
      expect(books.ticketsPerExternalId).toEqual({ 'ccai-call-1': 1 });
    },
    TEST_LIMIT_MS,
  );
});

describe('the crm-writer, killed while a bulk job is under way', () => {
  let sluice: RunningSluice;
  beforeEach(async () => {
    sluice = await startSluice({ account: '    batching: always\n' });
  }, START_LIMIT_MS);
  afterEach(() => sluice.stop());

  it.each([
    ['before its effect', { type: 'silence', when: 'before' }],
    ['after its effect', { type: 'silence', when: 'after' }],
    ['while the job works', { type: 'job', outcome: 'slow', forMs: 20_000 }],
  ])(
    'makes each ticket once: lost %s',
    async (_what, effect) => {
      await sluice.control('POST', 'faults', { match: { kind: 'tickets.create_many' }, effect, count: 1 });
      const calls = Array.from(
        { length: 30 },
        (_, n) => callEvents(n + 1, `+120255501${String(n).padStart(2, '0')}`).ended,
      );
      await sluice.post('calls', envelope(...calls));
      await until(
        'the job is submitted',
        async () => ((await sluice.books()).kinds['tickets.create_many'] ?? 0) > 0,
        TEST_LIMIT_MS,
      );
      const writer = sluice.stack.service('crm-writer');
      await writer.kill9();
      await writer.restart();
      const outcomes = await until(
        'all commands done',
        async () => {
          const found = await sluice.outcomes();
          const tickets = new Set(found.map(({ data }) => data.interactionId));
          return tickets.size === 30 && found.every(({ type }) => type === 'done') ? found : null;
        },
        TEST_LIMIT_MS,
      );
      const books = await sluice.books();
      expect(Object.keys(books.ticketsPerExternalId)).toHaveLength(30);
      for (const { data } of outcomes) expect(books.marks[data.commandId]).toBe(1);
      expect(await sluice.audit()).toMatchObject({ ok: true, refusals: { ours: 0 } });
    },
    TEST_LIMIT_MS,
  );
});
