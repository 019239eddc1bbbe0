import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { systemClock } from '#clock';
import type { WrittenAccount, Command } from '#contracts';
import { comment, config, NOBODY, ticket } from '../test/commands.js';
import { type RunningWriter, type Seams, startWriter } from '../test/running-writer.js';
import { type Fault, SmallCrm } from '../test/small-crm.js';
import { type WriterDatabase, writerDatabase } from '../test/writer-database.js';
import { PostgresWriteStore } from './postgres.write-store.js';
import type { SimulatedQuotaOptions } from './simulated.quota-client.js';

const BROKEN: Fault = { status: 500, body: { error: 'InternalServerError' } };

describe('the writer of an account whose CRM fails in part', () => {
  let database: WriterDatabase;
  let store: PostgresWriteStore;
  let crm: SmallCrm;
  let baseUrl: string;
  let running: RunningWriter;

  beforeAll(async () => {
    database = await writerDatabase('failing spec');
  });

  afterAll(async () => {
    await database?.drop();
  });

  beforeEach(async () => {
    await database.empty();
    store = database.store;
    crm = new SmallCrm();
    baseUrl = await crm.listen();
  });

  afterEach(async () => {
    await running.stop();
    await crm.close();
  });

  function start(
    changed: Partial<WrittenAccount> = {},
    limits: Partial<SimulatedQuotaOptions> = {},
    through?: (seams: Seams) => Seams,
  ): void {
    running = startWriter(config(baseUrl, changed), store, limits, through);
  }

  async function takeIn(...commands: Command[]): Promise<void> {
    await store.takeIn(commands);
    running.writer.wake();
  }

  async function until(holds: () => Promise<boolean> | boolean, withinMs = 8_000): Promise<void> {
    const untilMs = performance.now() + withinMs;
    while (!(await holds())) {
      if (performance.now() > untilMs)
        throw new Error(`not within ${withinMs} ms: ${JSON.stringify((await store.counts('acme')).states)}`);
      await systemClock.sleep(10);
    }
  }

  const stateOf = async (interactionId: string): Promise<string[]> =>
    ((await store.view('acme', interactionId))?.commands ?? []).map(({ state }) => state);
  const isDone = (interactionId: string) => async () =>
    (await stateOf(interactionId)).every((state) => state === 'done');
  const isFailing = () => running.writer.closedFor?.reason === 'crm_failing';

  it('writes on where the audits of one ticket can’t be read, and counts those questions', async () => {
    start();
    await takeIn(ticket('call-1'));
    await until(isDone('call-1'));
    crm.fault = ({ method, path }) => (path.includes('/audits') ? BROKEN : method === 'PUT' ? 'lost after' : null);
    await takeIn(comment('call-1', 'lost'));
    await until(isFailing);
    await takeIn(ticket('call-2'));
    await until(isDone('call-2'));
    const asks = async () => (await database.pool.query('SELECT FROM crm_writer.item WHERE asks > 0')).rowCount;
    await until(async () => (await asks()) === 1);
    await takeIn(ticket('call-3'));
    await until(isDone('call-3'));
    expect(await stateOf('call-1')).toEqual(['done', 'unknown']);
  });

  it('writes on where jobs can’t be asked for', async () => {
    start({ batching: 'always' });
    crm.fault = ({ path }) => (path.includes('job_statuses/show_many') ? BROKEN : null);
    await takeIn(...['a', 'b', 'c'].map((name) => ticket(`call-${name}`)));
    await until(isFailing);
    await takeIn(ticket('call-2'));
    await until(() => crm.callsTo(/create_many/).length === 2);
    expect(await stateOf('call-a')).toEqual(['sent']);
  });

  it('makes other contacts and tickets where one phone number can’t be searched for', async () => {
    start();
    crm.fault = ({ path }) => (path.includes('users/search') && path.includes('111') ? BROKEN : null);
    await takeIn(ticket('call-1', { contact: { ...NOBODY, phone: '+111' } }));
    await until(() => crm.callsTo(/search/).length >= 7);
    await takeIn(ticket('call-2', { contact: { ...NOBODY, phone: '+222' } }), ticket('call-3'));
    await until(isDone('call-2'));
    await until(isDone('call-3'));
    expect(await stateOf('call-1')).toEqual(['waiting']);
  });

  it('gives a contact up that fails again and again while others get through', async () => {
    start();
    crm.fault = ({ path }) => (path.includes('users/search') && path.includes('111') ? BROKEN : null);
    await takeIn(ticket('call-1', { contact: { ...NOBODY, phone: '+111' } }));
    for (let others = 0; (await stateOf('call-1'))[0] !== 'parked' && others < 200; others += 1) {
      await takeIn(ticket(`other-${others}`));
      await until(isDone(`other-${others}`));
    }
    expect(await store.view('acme', 'call-1')).toMatchObject({
      commands: [{ state: 'parked', reasonCode: 'contact_attempts_exhausted' }],
    });
  });

  it('submits a job without the contacts whose look-up has to wait', async () => {
    start({ batching: 'always' });
    const headers = { 'retry-after': '3600', 'x-rate-limit-remaining': '50' };
    crm.fault = ({ path }) => (path.includes('users/search') ? { status: 429, body: {}, headers } : null);
    const normal = (one: Command): Command => ({ ...one, data: { ...one.data, priority: 'normal' } });
    await takeIn(normal(ticket('call-1', { contact: { ...NOBODY, phone: '+111' } })));
    await until(() => crm.callsTo(/users/).length === 1);
    await takeIn(...['call-2', 'call-3', 'call-4'].map((id) => normal(ticket(id))));
    await until(isDone('call-4'));
    expect(await stateOf('call-1')).toEqual(['waiting']);
  });

  it('waits, and says why, while the credential can’t be read', async () => {
    let readable = false;
    const lost = { answer: 'lost', reason: 'credential_unavailable', maybeArrived: false, sentAtMonoMs: null } as const;
    start({}, {}, (seams) => ({
      ...seams,
      crm: { ...seams.crm, send: (...sent) => (readable ? seams.crm.send(...sent) : Promise.resolve(lost)) },
    }));
    await takeIn(ticket('call-1'));
    await until(() => running.writer.closedFor?.reason === 'credential_unavailable');
    await until(() => running.quota.grants.size === 3);
    expect([...running.quota.grants.values()].slice(0, 2)).toMatchObject([
      { settled: 'returned' },
      { settled: 'returned' },
    ]);
    readable = true;
    await until(isDone('call-1'));
    expect(crm.tickets.size).toBe(1);
  });

  it('keeps what it claimed accountable where the door to the CRM breaks', async () => {
    let broken = true;
    start({}, {}, (seams) => ({
      ...seams,
      crm: {
        ...seams.crm,
        send: (...sent) => (broken ? Promise.reject(new Error('broken')) : seams.crm.send(...sent)),
      },
    }));
    await takeIn(ticket('call-1'));
    await until(isFailing);
    broken = false;
    await until(isDone('call-1'));
    expect(running.quota.grants.size).toBeLessThan(10);
  });

  it('backs off where its grants are too old by the time they are to be used', async () => {
    start({}, { validForMs: -1 });
    await takeIn(ticket('call-1'));
    await until(() => running.quota.grants.size >= 2);
    await systemClock.sleep(500);
    expect(running.quota.grants.size).toBeLessThan(8);
  });

  it('waits for the permission to make users, and refuses no contact for want of it', async () => {
    start();
    let forbidden = true;
    crm.fault = ({ path }) =>
      forbidden && path.includes('/users')
        ? { status: 403, body: { error: { title: 'Forbidden', message: '' } } }
        : null;
    const contact = { ...NOBODY, phone: '+444' };
    await takeIn(ticket('call-1', { contact }));
    await until(() => crm.callsTo(/users/).length === 2);
    forbidden = false;
    await takeIn(ticket('call-2', { contact }));
    await until(isDone('call-1'));
    await until(isDone('call-2'));
    expect(crm.users).toHaveLength(1);
  });

  it('knows a contact by every key that it was seen with', async () => {
    start();
    for (const [id, part] of [
      ['chat-1', { userId: 'end_user_5' }],
      ['call-2', { userId: 'end_user_5', phone: '+333' }],
      ['call-3', { phone: '+333' }],
    ] as const) {
      await takeIn(ticket(id, { contact: { ...NOBODY, ...part } }));
      await until(isDone(id));
    }
    expect(crm.users).toHaveLength(1);
    expect([...crm.tickets.values()].map(({ requester_id: of }) => of)).toEqual(Array(3).fill(crm.users[0]!.id));
  });

  it('lets no interaction sleep that gets something to write while another of its writes lapses', async () => {
    start();
    await running.stop();
    const late = comment('call-1', 'late');
    await store.takeIn([ticket('call-1'), { ...late, data: { ...late.data, notAfter: 1 } }]);
    const pool = database.pool;
    await pool.query(`UPDATE crm_writer.write SET state = 'superseded', final_at = now() WHERE kind = 'ensureTicket'`);
    await pool.query(`UPDATE crm_writer.interaction SET ticket_id = 5`);
    const other = await pool.connect();
    try {
      await other.query('BEGIN');
      await other.query('SELECT FROM crm_writer.interaction FOR NO KEY UPDATE');
      const lapsing = store.lapse('acme');
      const blocked = `SELECT FROM pg_stat_activity WHERE application_name = 'failing spec' AND wait_event_type = 'Lock'`;
      await until(async () => (await pool.query(blocked)).rowCount === 1);
      await other.query(
        `INSERT INTO crm_writer.write (command_id, account, interaction_id, kind, action, event_at, event_rank, ordinal,
                                       priority, policy_version, causation_id)
         VALUES ('new', 'acme', 'call-1', 'addComment', '{}', 1, 0, 0, 0, 1, 'e')`,
      );
      await other.query('UPDATE crm_writer.interaction SET waiting = 2');
      await other.query('COMMIT');
      expect(await lapsing).toBe(1);
    } finally {
      other.release();
    }
    expect((await pool.query('SELECT waiting, runnable FROM crm_writer.interaction')).rows).toEqual([
      { waiting: 1, runnable: true },
    ]);
  });
});
