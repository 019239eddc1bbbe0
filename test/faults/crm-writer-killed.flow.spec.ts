import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { callEvents, envelope, type RunningSluice, startSluice } from '../flow/running-sluice.js';
import { until } from '../support/until.js';

const START_LIMIT_MS = 60_000;
const TEST_LIMIT_MS = 90_000;

describe('the crm-writer, killed between sending and the answer', () => {
  let sluice: RunningSluice;
  beforeAll(async () => {
    sluice = await startSluice({ account: '    batching: off\n' });
  }, START_LIMIT_MS);
  afterAll(() => sluice.stop());

  /** Each test has a call and a customer of its own. */
  let calls = 0;
  const newCall = () => {
    calls += 1;
    const phone = `+1202555${1_000 + calls}`;
    return { phone, interactionId: `call-${calls}`, ...callEvents(calls, phone) };
  };

  const allDone = (interactionId: string, atLeast: number) =>
    until(
      `${atLeast} commands of ${interactionId} done`,
      async () => {
        const found = (await sluice.outcomes()).filter(({ data }) => data.interactionId === interactionId);
        return found.length >= atLeast && found.every(({ type }) => type === 'done') ? found : null;
      },
      TEST_LIMIT_MS,
    );

  const silenced = async (kind: string): Promise<number> => {
    const { calls: made } = await sluice.control<{ calls: { fate: string }[] }>('GET', `calls?limit=1000&kind=${kind}`);
    return made.filter(({ fate }) => fate === 'silence').length;
  };

  /** The next call of this kind gets no answer; resolves, once sent, to a wait for that to have happened. */
  const holdBack = async (kind: string, when: 'before' | 'after'): Promise<() => Promise<unknown>> => {
    const before = await silenced(kind);
    await sluice.control('POST', 'faults', { match: { kind }, effect: { type: 'silence', when }, count: 1 });
    return () => until(`a call ${kind} without an answer`, async () => (await silenced(kind)) > before);
  };

  const killAndRestart = async (): Promise<void> => {
    const writer = sluice.stack.service('crm-writer');
    await writer.kill9();
    await writer.restart();
  };

  it.each(['before', 'after'] as const)(
    'makes the ticket once, whether the call was lost %s its effect',
    async (when) => {
      const { interactionId, ended } = newCall();
      const befallen = await holdBack('tickets.create', when);
      await sluice.post('calls', envelope(ended));
      await befallen();
      await killAndRestart();
      await allDone(interactionId, 1);
      expect((await sluice.books()).ticketsPerExternalId[`ccai-${interactionId}`]).toBe(1);
      expect(await sluice.audit()).toMatchObject({ ok: true });
    },
    TEST_LIMIT_MS,
  );

  it.each(['before', 'after'] as const)(
    'writes the comment once, whether the call was lost %s its effect',
    async (when) => {
      const { interactionId, assigned, ended } = newCall();
      await sluice.post('calls', envelope(assigned));
      await allDone(interactionId, 1);
      const befallen = await holdBack('tickets.update', when);
      await sluice.post('calls', envelope(ended));
      await befallen();
      await killAndRestart();
      const outcomes = await allDone(interactionId, 2);
      const { marks } = await sluice.books();
      for (const { data } of outcomes) expect(marks[data.commandId]).toBe(1);
      expect(await sluice.audit()).toMatchObject({ ok: true });
    },
    TEST_LIMIT_MS,
  );

  it.each(['before', 'after'] as const)(
    'makes the contact once, whether the call was lost %s its effect',
    async (when) => {
      const { interactionId, phone, ended } = newCall();
      const befallen = await holdBack('users.create', when);
      await sluice.post('calls', envelope(ended));
      await befallen();
      await killAndRestart();
      await allDone(interactionId, 1);
      const books = await sluice.books();
      expect(books.contactsPerPhone[phone]).toBe(1);
      expect(books.ticketsPerExternalId[`ccai-${interactionId}`]).toBe(1);
    },
    TEST_LIMIT_MS,
  );
});

describe('the crm-writer, killed again and again under load', () => {
  let sluice: RunningSluice;
  beforeAll(async () => {
    sluice = await startSluice();
  }, START_LIMIT_MS);
  afterAll(() => sluice.stop());

  it(
    'loses nothing, doubles nothing and keeps the order',
    async () => {
      const many = 60;
      const writer = sluice.stack.service('crm-writer');
      for (let n = 0; n < many; n += 1) {
        const { assigned, ended, dispositioned } = callEvents(n, `+1202555${1_000 + n}`);
        await sluice.post('calls', envelope(assigned, ended, dispositioned));
        if (n % 20 === 10) {
          await writer.kill9();
          await writer.restart();
        }
      }
      const outcomes = await until(
        'every command is done',
        async () => {
          const found = await sluice.outcomes();
          return found.filter(({ type }) => type === 'done').length >= 3 * many ? found : null;
        },
        TEST_LIMIT_MS,
      );
      const books = await sluice.books();
      expect(Object.values(books.ticketsPerExternalId)).toEqual(Array.from({ length: many }, () => 1));
      for (const { data } of outcomes) expect(books.marks[data.commandId]).toBe(1);
      expect(await sluice.audit()).toMatchObject({ ok: true, refusals: { ours: 0 } });
    },
    TEST_LIMIT_MS,
  );
});

describe('the crm-writer, killed while a bulk job is under way', () => {
  let sluice: RunningSluice;
  beforeAll(async () => {
    sluice = await startSluice({ account: '    batching: always\n' });
  }, START_LIMIT_MS);
  afterAll(() => sluice.stop());

  const CALLS_PER_JOB = 30;
  let calls = 0;
  const newCalls = () =>
    Array.from({ length: CALLS_PER_JOB }, () => {
      calls += 1;
      return { interactionId: `call-${calls}`, event: callEvents(calls, `+1202555${1_000 + calls}`).ended };
    });

  it.each([
    ['before its effect', { type: 'silence', when: 'before' }],
    ['after its effect', { type: 'silence', when: 'after' }],
    ['while the job works', { type: 'job', outcome: 'slow', forMs: 20_000 }],
  ])(
    'makes each ticket once: lost %s',
    async (_what, effect) => {
      await sluice.control('POST', 'faults', { match: { kind: 'tickets.create_many' }, effect, count: 1 });
      const submitted = (await sluice.books()).kinds['tickets.create_many'] ?? 0;
      const made = newCalls();
      await sluice.post('calls', envelope(...made.map(({ event }) => event)));
      await until(
        'the job is submitted',
        async () => ((await sluice.books()).kinds['tickets.create_many'] ?? 0) > submitted,
        TEST_LIMIT_MS,
      );
      const writer = sluice.stack.service('crm-writer');
      await writer.kill9();
      await writer.restart();
      const outcomes = await until(
        'all commands done',
        async () => {
          const ids = new Set(made.map(({ interactionId }) => interactionId));
          const found = (await sluice.outcomes()).filter(({ data }) => ids.has(data.interactionId));
          const done = new Set(found.filter(({ type }) => type === 'done').map(({ data }) => data.interactionId));
          return done.size === CALLS_PER_JOB ? found : null;
        },
        TEST_LIMIT_MS,
      );
      const books = await sluice.books();
      for (const { interactionId } of made) expect(books.ticketsPerExternalId[`ccai-${interactionId}`]).toBe(1);
      for (const { data } of outcomes) expect(books.marks[data.commandId]).toBe(1);
      expect(await sluice.audit()).toMatchObject({ ok: true, refusals: { ours: 0 } });
    },
    TEST_LIMIT_MS,
  );
});
