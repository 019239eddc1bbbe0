import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { systemClock } from '#clock';
import { type WrittenAccount, type Command, type Outcome, parseOutcome } from '#contracts';
import { command, comment, config, NOBODY, ticket } from '../test/commands.js';
import { type RunningWriter, startWriter } from '../test/running-writer.js';
import { SmallCrm } from '../test/small-crm.js';
import { type WriterDatabase, writerDatabase } from '../test/writer-database.js';
import { PostgresWriteStore } from './postgres.write-store.js';
import type { SimulatedQuotaClient, SimulatedQuotaOptions } from './simulated.quota-client.js';

describe('the writer of an account', () => {
  let database: WriterDatabase;
  let store: PostgresWriteStore;
  let crm: SmallCrm;
  let baseUrl: string;
  let quota: SimulatedQuotaClient;
  let running: RunningWriter | null;

  beforeAll(async () => {
    database = await writerDatabase('writing spec');
  });

  afterAll(async () => {
    await database?.drop();
  });

  beforeEach(async () => {
    await database.empty();
    store = database.store;
    crm = new SmallCrm();
    baseUrl = await crm.listen();
    running = null;
  });

  afterEach(async () => {
    await stop();
    await crm.close();
  });

  function start(changed: Partial<WrittenAccount> = {}, limits: Partial<SimulatedQuotaOptions> = {}): void {
    running = startWriter(config(baseUrl, changed), store, limits);
    quota = running.quota;
  }

  async function stop(): Promise<void> {
    await running?.stop();
    running = null;
  }

  async function takeIn(...commands: Command[]): Promise<void> {
    await store.takeIn(commands);
    running?.writer.wake();
  }

  /** Waits until the writes of all commands stand as told. */
  async function until(states: Record<string, number>, withinMs = 10_000): Promise<void> {
    const untilMs = performance.now() + withinMs;
    for (;;) {
      const now = (await store.counts('acme')).states;
      if (JSON.stringify(sorted(now)) === JSON.stringify(sorted(states))) return;
      if (performance.now() > untilMs)
        throw new Error(`writes are ${JSON.stringify(now)}, not ${JSON.stringify(states)}`);
      await systemClock.sleep(10);
    }
  }

  async function outcomes(): Promise<Outcome[]> {
    const { rows } = await database.pool.query<{ payload: Buffer }>(
      'SELECT payload FROM crm_writer.outbox ORDER BY id',
    );
    return rows.map(({ payload }) => {
      const parsed = parseOutcome(payload);
      if (!parsed.ok) throw new Error(parsed.reason);
      return parsed.value;
    });
  }

  const bodies = (): string[] => [...crm.tickets.values()].flatMap(({ comments }) => comments.map(({ body }) => body));

  it('makes one ticket of everything that waits, by one call', async () => {
    await takeIn(ticket('call-1'), comment('call-1', 'then this'), comment('call-1', 'and that'));
    start();
    await until({ done: 3 });
    expect(crm.callsTo(/./)).toHaveLength(1);
    expect(bodies()).toEqual(['opening of call-1\n\nthen this\n\nand that']);
    const [made] = crm.tickets.values();
    expect(made).toMatchObject({ external_id: 'ccai-call-1', tags: ['ccai'] });
    expect(await outcomes()).toMatchObject([
      { type: 'done', data: { ticketId: made!.id, writer: 'single', mergedWith: 3 } },
      { type: 'done' },
      { type: 'done' },
    ]);
    expect([...quota.grants.values()]).toMatchObject([{ kind: 'tickets.create', settled: 'used' }]);
  });

  it('keeps internal text out of a public comment', async () => {
    await takeIn(ticket('call-1'), comment('call-1', 'for the customer', true), comment('call-1', 'among us'));
    start();
    await until({ done: 3 });
    expect([...crm.tickets.values()][0]!.comments).toEqual([
      { body: 'opening of call-1', public: false },
      { body: 'for the customer', public: true },
      { body: 'among us', public: false },
    ]);
  });

  it('takes a repeated command once', async () => {
    const commands = [ticket('call-1'), comment('call-1', 'once')];
    await takeIn(...commands);
    start();
    await until({ done: 2 });
    await takeIn(...commands);
    await takeIn(comment('call-1', 'twice'));
    await until({ done: 3 });
    expect(bodies()).toEqual(['opening of call-1\n\nonce', 'twice']);
    expect(await outcomes()).toHaveLength(3);
  });

  it('makes a contact once for two interactions that want it at once', async () => {
    const contact = { ...NOBODY, phone: '+4930123456', name: 'Someone' };
    await takeIn(ticket('call-1', { contact }), ticket('call-2', { contact }), ticket('chat-1', { contact }));
    start();
    await until({ done: 3 });
    expect(crm.users).toHaveLength(1);
    expect(crm.callsTo(/users\/search/)).toHaveLength(1);
    expect([...crm.tickets.values()].map(({ requester_id: id }) => id)).toEqual(Array(3).fill(crm.users[0]!.id));
  });

  it('adopts a contact whose creation was answered by nobody', async () => {
    crm.fault = ({ method, path }) =>
      method === 'POST' && path === '/api/v2/users' && crm.users.length === 0 ? 'lost after' : null;
    await takeIn(ticket('call-1', { contact: { ...NOBODY, phone: '+4930123456' } }));
    start();
    await until({ done: 1 });
    expect(crm.users).toHaveLength(1);
    expect(crm.callsTo(/create_or_update/)).toHaveLength(1);
  });

  it('appends to the open ticket of the same contact and queue, and makes a new one beside a closed one', async () => {
    const appended = { mode: 'append', contact: { ...NOBODY, phone: '+4930123456' }, queuePath: 'sales' } as const;
    await takeIn(ticket('call-1', appended));
    start();
    await until({ done: 1 });
    await takeIn(ticket('call-2', appended), ticket('call-3', { ...appended, queuePath: 'support' }));
    await until({ done: 3 });
    expect([...crm.tickets.values()].map(({ external_id: id }) => id)).toEqual(['ccai-call-1', 'ccai-call-3']);
    const first = [...crm.tickets.values()][0]!;
    expect(first.comments.map(({ body }) => body)).toEqual(['opening of call-1', 'opening of call-2']);
    first.closed = true;
    await takeIn(ticket('call-4', appended));
    await until({ done: 4 });
    expect([...crm.tickets.values()][2]).toMatchObject({
      external_id: 'ccai-call-4',
      via_followup_source_id: first.id,
    });
    await takeIn(ticket('call-5', appended));
    await until({ done: 5 });
    expect([...crm.tickets.values()]).toHaveLength(3);
  });

  it('finds a ticket again whose creation got no answer', async () => {
    crm.fault = ({ method, path }) =>
      method === 'POST' && path === '/api/v2/tickets' && crm.tickets.size === 0 ? 'lost after' : null;
    await takeIn(ticket('call-1'));
    start();
    await until({ done: 1 });
    expect(crm.tickets.size).toBe(1);
    expect(crm.callsTo(/POST .*tickets$/)).toHaveLength(1);
    expect(crm.callsTo(/external_id=ccai-call-1/)).toHaveLength(1);
  });

  it('sends the same bytes with the same key where the CRM has no such ticket', async () => {
    let lost = 0;
    crm.fault = ({ method }) => (method === 'POST' && lost++ === 0 ? 'lost before' : null);
    await takeIn(ticket('call-1'));
    start();
    await until({ done: 1 });
    const [first, second] = crm.callsTo(/POST/);
    expect(second).toEqual(first);
    expect(first!.key).toMatch(/^sluice-/);
    expect(crm.tickets.size).toBe(1);
  });

  it.each(['lost before', 'lost after'] as const)(
    'writes a comment once whose answer was %s its effect',
    async (fault) => {
      await takeIn(ticket('call-1'));
      start();
      await until({ done: 1 });
      let lost = 0;
      crm.fault = ({ method }) => (method === 'PUT' && lost++ === 0 ? fault : null);
      await takeIn(comment('call-1', 'exactly once'));
      await until({ done: 2 });
      expect(bodies()).toEqual(['opening of call-1', 'exactly once']);
      expect(crm.callsTo(/audits/)).toHaveLength(1);
    },
  );

  it('resumes what another writer left behind, by asking', async () => {
    await takeIn(ticket('call-1'), ticket('call-2'));
    crm.fault = ({ body }) => (body.includes('call-1') ? 'lost after' : null);
    start();
    await until({ done: 1, unknown: 1 });
    await stop();
    await database.pool.query("UPDATE crm_writer.call SET state = 'sent', ask_at = NULL WHERE state = 'unknown'");
    await database.pool.query("UPDATE crm_writer.item SET state = 'sent' WHERE state = 'unknown'");
    await database.pool.query("UPDATE crm_writer.write SET state = 'sent' WHERE state = 'unknown'");
    crm.fault = () => null;
    start();
    await until({ done: 2 });
    expect(crm.tickets.size).toBe(2);
  });

  it('parks what the CRM finds invalid, alone, and lets others pass', async () => {
    crm.fault = ({ body }) =>
      body.includes('poison')
        ? {
            status: 422,
            body: { error: 'RecordInvalid', details: { comment: [{ error: 'InvalidValue', description: 'no' }] } },
          }
        : null;
    await takeIn(
      ticket('call-1'),
      comment('call-1', 'good'),
      comment('call-1', 'poison'),
      comment('call-1', 'behind it'),
    );
    await takeIn(ticket('call-2'));
    start();
    await until({ done: 3, parked: 1, waiting: 1 });
    expect(bodies().sort()).toEqual(['good', 'opening of call-1', 'opening of call-2']);
    const [parked] = (await outcomes()).filter(({ type }) => type === 'parked');
    expect(parked!.data.reason).toEqual({ code: 'crm_invalid', text: 'RecordInvalid: comment InvalidValue' });
  });

  it('spends no attempts on limits, and waits as long as the CRM says', async () => {
    let refused = 0;
    crm.fault = () =>
      refused++ < 12
        ? {
            status: 429,
            body: 'Number of allowed API requests per minute exceeded',
            headers: { 'retry-after': '2', 'x-rate-limit-remaining': '0' },
          }
        : null;
    await takeIn(ticket('call-1'));
    start();
    await until({ done: 1 });
    expect(crm.callsTo(/POST/)).toHaveLength(13);
    const { rows } = await database.pool.query('SELECT attempts FROM crm_writer.write');
    expect(rows).toEqual([{ attempts: 0 }]);
  });

  it('survives an outage of the CRM without burning attempts, loss or doubles', async () => {
    let down = true;
    crm.fault = () => (down ? { status: 503, body: 'down' } : null);
    await takeIn(...Array.from({ length: 12 }, (_, i) => ticket(`call-${i}`)));
    start();
    const untilMs = performance.now() + 5_000;
    while (crm.calls.length < 12 && performance.now() < untilMs) await systemClock.sleep(10);
    down = false;
    await until({ done: 12 }, 20_000);
    expect(crm.tickets.size).toBe(12);
  });

  it('pauses an account whose credential is refused, and goes on when it is accepted again', async () => {
    let refuse = true;
    crm.fault = () => (refuse ? { status: 401, body: { error: "Couldn't authenticate you" } } : null);
    await takeIn(ticket('call-1'), ticket('call-2'), ticket('call-3'));
    start();
    await until({ waiting: 3 });
    const untilMs = performance.now() + 5_000;
    while (running!.writer.closedFor === null && performance.now() < untilMs) await systemClock.sleep(5);
    expect(running!.writer.closedFor).toMatchObject({ reason: 'unauthorized' });
    refuse = false;
    await until({ done: 3 });
  });

  it('writes many at once by jobs, each ticket under its own interaction', async () => {
    await takeIn(...Array.from({ length: 230 }, (_, i) => ticket(`call-${i}`)));
    start({ batching: 'auto' });
    await until({ done: 230 }, 20_000);
    // The last 30 go as a job of their own or, once they are seen to be few, singly: both are right.
    const createJobs = crm.callsTo(/create_many/).length;
    expect([2, 3]).toContain(createJobs);
    expect(crm.callsTo(/POST .*tickets$/)).toHaveLength(createJobs === 2 ? 30 : 0);
    for (const made of crm.tickets.values()) {
      const view = await store.view('acme', made.external_id!.replace('ccai-', ''));
      expect(view!.ticketId).toBe(made.id);
    }
    await takeIn(...Array.from({ length: 150 }, (_, i) => comment(`call-${i}`, `more of ${i}`)));
    await until({ done: 380 }, 20_000);
    expect(crm.callsTo(/update_many/)).toHaveLength(2);
    for (const made of crm.tickets.values()) {
      const [, more] = made.comments;
      if (more) expect(`ccai-call-${more.body.replace('more of ', '')}`).toBe(made.external_id);
    }
    const untilMs = performance.now() + 2_000;
    const jobs = createJobs + 2;
    while (quota.released.length < jobs && performance.now() < untilMs) await systemClock.sleep(10);
    expect(new Set(quota.released).size).toBe(jobs);
  });

  it('writes failed items of a job again, alone', async () => {
    crm.jobItemFault = (one) => ((one['external_id'] as string) === 'ccai-call-3' ? 'TicketCreateFailed' : null);
    await takeIn(...Array.from({ length: 6 }, (_, i) => ticket(`call-${i}`)));
    start({ batching: 'always' });
    await until({ done: 6 });
    expect(crm.callsTo(/POST .*tickets$/)).toHaveLength(1);
    expect(crm.tickets.size).toBe(6);
  });

  it('finds out what became of a job whose submission got no answer', async () => {
    let lost = 0;
    crm.fault = ({ path }) => (path.endsWith('create_many') && lost++ === 0 ? 'lost after' : null);
    await takeIn(...Array.from({ length: 5 }, (_, i) => ticket(`call-${i}`)));
    start({ batching: 'always' });
    await until({ done: 5 });
    expect(crm.tickets.size).toBe(5);
    expect(crm.callsTo(/GET .*job_statuses$/)).toHaveLength(1);
    expect(crm.callsTo(/GET .*show_many/)).toHaveLength(1);
    expect(crm.callsTo(/external_id/)).toHaveLength(0);
  });

  it('asks item by item for a job that never came to be, and writes its tickets', async () => {
    let lost = 0;
    crm.fault = ({ path }) => (path.endsWith('create_many') && lost++ === 0 ? 'lost before' : null);
    await takeIn(...Array.from({ length: 4 }, (_, i) => ticket(`call-${i}`)));
    start({ batching: 'always' });
    await until({ done: 4 });
    expect(crm.tickets.size).toBe(4);
    expect(crm.callsTo(/external_id/)).toHaveLength(4);
  });

  it('makes no call without the ledger', async () => {
    start();
    quota.away = true;
    await takeIn(ticket('call-1'));
    await systemClock.sleep(100);
    expect(crm.calls).toHaveLength(0);
    quota.away = false;
    await until({ done: 1 });
  });

  it('lets pass what is pointless by now, without a call for it', async () => {
    await takeIn(ticket('call-1'));
    start();
    await until({ done: 1 });
    await takeIn(
      command('call-1', { kind: 'setFields', tags: ['late'], customFields: [] }, { notAfter: 1_700_000_000_000 }),
    );
    await until({ done: 1, lapsed: 1 });
    expect(crm.calls).toHaveLength(1);
    expect((await outcomes())[1]).toMatchObject({ type: 'lapsed', data: { reason: { code: 'not_after_passed' } } });
  });

  it('keeps to what the ledger grants', async () => {
    await takeIn(...Array.from({ length: 10 }, (_, i) => ticket(`call-${i}`)));
    start({}, { callsPerWindow: 4, windowMs: 300 });
    await until({ done: 10 });
    expect(quota.refusals).toBeGreaterThan(0);
    expect([...quota.grants.values()].filter(({ settled }) => settled === 'used')).toHaveLength(crm.calls.length);
  });
});

function sorted(record: Record<string, number>): [string, number][] {
  return Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1));
}
