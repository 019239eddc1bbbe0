import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Command } from '#contracts';
import { until } from '../../../test/support/until.js';
import { comment, config, ticket } from '../test/commands.js';
import { type RunningWriter, type Seams, startWriter } from '../test/running-writer.js';
import { type Fault, SmallCrm } from '../test/small-crm.js';
import { type WriterDatabase, writerDatabase } from '../test/writer-database.js';

const BROKEN: Fault = { status: 500, body: { error: 'InternalServerError' } };
const INVALID: Fault = {
  status: 422,
  body: { error: 'RecordInvalid', details: { comment: [{ error: 'InvalidValue', description: 'no' }] } },
};

describe('jobs and what is in doubt', () => {
  let database: WriterDatabase;
  let crm: SmallCrm;
  let baseUrl: string;
  let running: RunningWriter | null;

  beforeAll(async () => {
    database = await writerDatabase('doubts spec');
  });

  afterAll(async () => {
    await database?.drop();
  });

  beforeEach(async () => {
    await database.empty();
    crm = new SmallCrm();
    baseUrl = await crm.listen();
    running = null;
  });

  afterEach(async () => {
    await running?.stop();
    await crm.close();
  });

  function start(timeScale = 1_000, through?: (seams: Seams) => Seams): RunningWriter {
    const base = config(baseUrl, { batching: 'always' });
    running = startWriter({ ...base, crm: { ...base.crm, timeScale } }, database.store, {}, through);
    return running;
  }

  const takeIn = (...commands: Command[]): Promise<number> => database.store.takeIn(commands);
  const tickets = (many: number): Command[] => Array.from({ length: many }, (_, i) => ticket(`call-${i}`));

  /** Waits until the writes of all commands stand as told. */
  const untilStates = (states: Record<string, number>, withinMs = 15_000): Promise<unknown> => {
    const sorted = (of: Record<string, number>): string => JSON.stringify(of, Object.keys(of).toSorted());
    let now = {};
    return until(
      JSON.stringify(states),
      async () => sorted((now = (await database.store.counts('acme')).states)) === sorted(states),
      withinMs,
    ).catch((error: unknown) => {
      throw new Error(`writes are ${JSON.stringify(now)}`, { cause: error });
    });
  };

  const texts = (): string[] => [...crm.tickets.values()].flatMap(({ comments }) => comments.map(({ body }) => body));

  it.each([
    ['refused for what one holds', INVALID],
    ['answered 500 for one', BROKEN],
  ])('halves a job that is %s until that one is alone', async (_how, fault) => {
    crm.fault = ({ method, body }) => (method === 'POST' && body.includes('about call-13"') ? fault : null);
    await takeIn(...tickets(40));
    start();
    await until('the others', async () => (await database.store.counts('acme')).states['done'] === 39);
    expect(crm.tickets.size).toBe(39);
    // 40, 20 + 20, 10 + 10, 5 + 5, 2 + 2 + 1, 1 + 1: far fewer calls than one for each.
    expect(crm.callsTo(/POST .*create_many/).length + crm.callsTo(/POST .*tickets$/).length).toBeLessThan(22);
  });

  it('halves a job that is killed again and again, and writes nothing twice', async () => {
    crm.jobFate = (items) =>
      JSON.stringify(items).includes('call-3"')
        ? { status: 'killed', does: ({ external_id: id }) => Number(String(id).slice(-1)) % 2 === 0 }
        : null;
    await takeIn(...tickets(8));
    start();
    await untilStates({ done: 8 });
    expect(crm.tickets.size).toBe(8);
  });

  it('finds many tickets in doubt by one export, and makes those that aren’t there', async () => {
    let fates = 0;
    crm.jobFate = () =>
      fates++ === 0 ? { status: 'failed', does: ({ external_id: id }) => !String(id).endsWith('7') } : null;
    await takeIn(...tickets(60));
    crm.exportPage = 25;
    start();
    await untilStates({ done: 60 });
    expect(crm.tickets.size).toBe(60);
    expect(crm.callsTo(/incremental/)).toHaveLength(3);
    expect(crm.callsTo(/external_id=/)).toHaveLength(0);
  });

  it('looks tickets up one by one where there may be no export', async () => {
    let fates = 0;
    crm.jobFate = () => (fates++ === 0 ? { status: 'failed', does: () => true } : null);
    crm.fault = ({ path }) =>
      path.includes('incremental') ? { status: 403, body: { error: { title: 'Forbidden', message: '' } } } : null;
    await takeIn(...tickets(12));
    start();
    await untilStates({ done: 12 });
    expect(crm.tickets.size).toBe(12);
    expect(crm.callsTo(/external_id=/)).toHaveLength(12);
  });

  /** Tickets long there, and a comment to each of them by a job. */
  async function commentOnAll(many: number): Promise<void> {
    await takeIn(...tickets(many));
    start();
    await untilStates({ done: many });
    for (const one of crm.tickets.values()) one.updated_at = '2020-01-01T00:00:00Z';
    crm.calls.length = 0;
    crm.jobs.clear();
  }

  it('sees by one look that a lost update touched none of its tickets', async () => {
    await commentOnAll(20);
    let lost = 0;
    crm.fault = ({ path }) => (path.endsWith('update_many') && lost++ === 0 ? 'lost before' : null);
    await takeIn(...Array.from({ length: 20 }, (_, i) => comment(`call-${i}`, `more of ${i}`)));
    await untilStates({ done: 40 });
    expect(new Set(texts()).size).toBe(40);
    expect(crm.callsTo(/audits/)).toHaveLength(0);
    expect(crm.callsTo(/tickets\/show_many/)).toHaveLength(1);
  });

  it('takes the results of the job that told of exactly its tickets, once one carries the mark', async () => {
    await commentOnAll(20);
    let lost = 0;
    crm.fault = ({ path }) => (path.endsWith('update_many') && lost++ === 0 ? 'lost after' : null);
    await takeIn(...Array.from({ length: 20 }, (_, i) => comment(`call-${i}`, `more of ${i}`)));
    await untilStates({ done: 40 });
    expect(new Set(texts()).size).toBe(40);
    expect(texts()).toHaveLength(40);
    expect(crm.callsTo(/audits/)).toHaveLength(1);
    expect(crm.callsTo(/update_many/)).toHaveLength(1);
  });

  it('reads the audits of tickets that somebody touched since, and repeats only what isn’t there', async () => {
    await commentOnAll(6);
    let fates = 0;
    crm.jobFate = () => (fates++ === 0 ? { status: 'killed', does: ({ id }) => Number(id) % 2 === 0 } : null);
    await takeIn(...Array.from({ length: 6 }, (_, i) => comment(`call-${i}`, `more of ${i}`)));
    await untilStates({ done: 12 });
    expect(texts().filter((text) => text.startsWith('more'))).toHaveLength(6);
    expect(crm.callsTo(/audits/)).toHaveLength(3);
  });

  it('does not believe the results of another’s job with the same tickets', async () => {
    await commentOnAll(4);
    let lost = 0;
    const ids = [...crm.tickets.keys()];
    crm.fault = ({ path }) => {
      if (path.endsWith('update_many') && lost++ === 0) return 'lost before';
      if (!path.endsWith('job_statuses')) return null;
      const results = ids.map((id) => ({ id, action: 'update', status: 'Updated', success: true }));
      return { status: 200, body: { job_statuses: [{ id: 'other', status: 'completed', results }] } };
    };
    for (const one of crm.tickets.values()) one.updated_at = new Date().toISOString();
    await takeIn(...Array.from({ length: 4 }, (_, i) => comment(`call-${i}`, `more of ${i}`)));
    await untilStates({ done: 8 });
    expect(texts().filter((text) => text.startsWith('more'))).toHaveLength(4);
  });

  it('asks by the list of jobs where looking at them always fails', async () => {
    crm.fault = ({ path }) => (path.includes('job_statuses/show_many') ? BROKEN : null);
    await takeIn(...tickets(4));
    start();
    await untilStates({ done: 4 });
    expect(crm.callsTo(/GET .*job_statuses$/).length).toBeGreaterThan(0);
    expect(crm.callsTo(/external_id=/)).toHaveLength(0);
  });

  it('gives a job up whose standing can’t be told while other calls succeed, and keeps its place', async () => {
    crm.fault = ({ path }) => (path.includes('job_statuses') ? BROKEN : null);
    await takeIn(...tickets(3));
    const { quota, writer } = start();
    await until('a job', async () => (await database.sql('SELECT job_id FROM crm_writer.job')).length === 1);
    await database.sql('UPDATE crm_writer.job SET polls = 55');
    const some = crm.jobs.get([...crm.jobs.keys()][0]!)!.tickets[1]!;
    crm.jobFate = () => ({ status: 'completed', does: (one) => one === some });
    for (let i = 0; (await database.store.counts('acme')).states['parked'] !== 2; i += 1) {
      expect(i).toBeLessThan(200);
      await takeIn(ticket(`other-${i}`, { subject: 'other' }));
      writer.wake();
      await until('the other is sent', () => crm.callsTo(/POST/).some(({ body }) => body.includes(`other-${i}"`)));
      if (i === 0) await fetch(`${baseUrl}/api/v2/tickets`, { method: 'POST', body: JSON.stringify({ ticket: some }) });
    }
    expect(await database.sql(`SELECT DISTINCT reason_code FROM crm_writer.write WHERE state = 'parked'`)).toEqual([
      { reason_code: 'job_stuck' },
    ]);
    const [call] = await database.sql(
      `SELECT hold_ids, holds_released FROM crm_writer.call WHERE call_id = (SELECT call_id FROM crm_writer.job ORDER BY poll_at DESC LIMIT 1)`,
    );
    expect(call).toMatchObject({ holds_released: false });
    expect(quota.released).not.toContain((call!['hold_ids'] as string[])[0]);
  }, 60_000);

  it('keeps the place of a lost submission while one of the jobs that may be it runs', async () => {
    let lost = 0;
    let over = false;
    crm.fault = ({ path }) => {
      if (path.endsWith('create_many') && lost++ === 0) return 'lost before';
      if (!path.endsWith('job_statuses')) return null;
      return { status: 200, body: { job_statuses: [{ id: 'suspect', status: over ? 'completed' : 'working' }] } };
    };
    await takeIn(...tickets(4));
    const { quota, writer } = start();
    await until('listed', () => crm.callsTo(/job_statuses$/).length > 0);
    await database.sql('UPDATE crm_writer.call SET asks = 118');
    await untilStates({ parked: 4 });
    expect(quota.released).toEqual([]);
    over = true;
    await database.sql('UPDATE crm_writer.call SET ask_at = now()');
    writer.wake();
    await until('released', () => quota.released.length === 1);
    expect(await database.sql('SELECT state FROM crm_writer.call')).toEqual([{ state: 'closed' }]);
  });

  it('burns no attempts in an outage', async () => {
    await takeIn(...tickets(6));
    running = startWriter(config(baseUrl, { batching: 'off' }), database.store);
    await untilStates({ done: 6 });
    let down = true;
    crm.fault = () => (down ? { status: 503, body: 'down' } : null);
    const before = crm.calls.length;
    await takeIn(...Array.from({ length: 6 }, (_, i) => comment(`call-${i}`, `more of ${i}`)));
    running.writer.wake();
    await until('probed', () => crm.calls.length > before + 8);
    down = false;
    await untilStates({ done: 12 }, 30_000);
    expect(await database.sql('SELECT DISTINCT attempts FROM crm_writer.write')).toEqual([{ attempts: 0 }]);
    expect(texts()).toHaveLength(12);
  }, 40_000);

  it('submits no job that a window full for long would not let it look at', async () => {
    await takeIn(...tickets(5));
    const base = config(baseUrl, { batching: 'always' });
    running = startWriter(base, database.store, { callsPerWindow: 4, windowMs: 1e12 });
    await until('two tried', () => running!.quota.grants.size > 0);
    await untilStates({ done: 5 });
    await takeIn(...Array.from({ length: 5 }, (_, i) => ticket(`more-${i}`)));
    running.writer.wake();
    await until('looked', async () => (await database.store.countWaiting('acme')).creates === 5);
    expect(crm.callsTo(/create_many/)).toHaveLength(1);
    expect((await database.store.counts('acme')).states).toEqual({ done: 5, waiting: 5 });
  });
});
