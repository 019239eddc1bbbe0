import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { systemClock } from '#clock';
import { silentLog } from '#telemetry';
import { config, NOBODY, ticket } from '../test/commands.js';
import { type RunningWriter, startWriter } from '../test/running-writer.js';
import { SmallCrm } from '../test/small-crm.js';
import { type WriterDatabase, writerDatabase } from '../test/writer-database.js';
import { PlaceReturner } from './place.returner.js';
import { PostgresWriteStore } from './postgres.write-store.js';

describe('writing by jobs', () => {
  let database: WriterDatabase;
  let store: PostgresWriteStore;
  let crm: SmallCrm;
  let baseUrl: string;
  let running: RunningWriter | null;

  beforeAll(async () => {
    database = await writerDatabase('batch spec');
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
    await running?.stop();
    await crm.close();
  });

  const sql = async (text: string): Promise<unknown[]> =>
    (await database.pool.query<Record<string, unknown>>(text)).rows;

  /** A writer that has so many tickets to make, by a job. */
  async function startWith(tickets: number): Promise<RunningWriter> {
    await store.takeIn(Array.from({ length: tickets }, (_, i) => ticket(`call-${i}`)));
    running = startWriter(config(baseUrl, { batching: 'always' }), store);
    return running;
  }

  async function until(what: string, holds: () => boolean | Promise<boolean>, withinMs = 10_000): Promise<void> {
    const untilMs = performance.now() + withinMs;
    while (!(await holds())) {
      if (performance.now() > untilMs)
        throw new Error(`never: ${what}; writes are ${JSON.stringify((await store.counts('acme')).states)}`);
      await systemClock.sleep(10);
    }
  }

  const untilAll = (state: string, count: number): Promise<void> =>
    until(`${count} ${state}`, async () => (await store.counts('acme')).states[state] === count);

  it.each([
    ['nothing of jobs', {}],
    ['of other jobs only', { job_statuses: [] }],
  ])('does not take a job for ended because an answer tells %s', async (_name, body) => {
    let looks = 0;
    crm.fault = ({ path }) => (path.includes('job_statuses') && looks++ < 4 ? { status: 200, body } : null);
    await startWith(4);
    await untilAll('done', 4);
    expect(crm.jobs.size).toBe(1);
    expect(crm.tickets.size).toBe(4);
    expect(crm.callsTo(/external_id/)).toHaveLength(0);
  });

  it('does not take a lost submission for settled because an answer tells nothing of jobs', async () => {
    let lost = 0;
    let looks = 0;
    crm.fault = ({ path }) => {
      if (path.endsWith('create_many') && lost++ === 0) return 'lost after';
      return path.endsWith('job_statuses') && looks++ < 3 ? { status: 200, body: {} } : null;
    };
    await startWith(4);
    await untilAll('done', 4);
    expect(crm.jobs.size).toBe(1);
    expect(crm.tickets.size).toBe(4);
  });

  it.each([
    ['refused', 403, { error: { title: 'Forbidden', message: '' } }],
    ['answered that it runs', 200, null],
  ])(
    'looks a bounded number of times at a job, always %s, and keeps its place until it is over',
    async (_how, status, body) => {
      let over = false;
      crm.fault = ({ path }) => {
        if (over || !path.includes('show_many')) return null;
        const [id] = [...crm.jobs.keys()];
        return { status, body: body ?? { job_statuses: [{ id, status: 'working' }] } };
      };
      const { quota } = await startWith(3);
      await until('a job', async () => (await sql('SELECT job_id FROM crm_writer.job')).length === 1);
      await sql('UPDATE crm_writer.job SET polls = 58');
      await untilAll('parked', 3);
      expect(await sql('SELECT DISTINCT reason_code FROM crm_writer.write')).toEqual([{ reason_code: 'job_stuck' }]);
      await systemClock.sleep(50);
      expect(quota.released).toEqual([]);
      over = true;
      await sql('UPDATE crm_writer.job SET poll_at = now()');
      running!.writer.wake();
      await until('released', () => quota.released.length === 1);
      expect(await sql('SELECT state FROM crm_writer.call')).toEqual([{ state: 'closed' }]);
    },
  );

  it('resolves a lost submission though other applications begin job after job', async () => {
    let lost = 0;
    let looks = 0;
    crm.fault = ({ path }) => {
      if (path.endsWith('create_many') && lost++ === 0) return 'lost before';
      if (!path.endsWith('job_statuses')) return null;
      looks += 1;
      const others = Array.from({ length: looks }, (_, i) => ({
        id: `other-${i}`,
        status: i === looks - 1 ? 'working' : 'completed',
      }));
      return { status: 200, body: { job_statuses: others } };
    };
    await startWith(4);
    await untilAll('done', 4);
    expect(looks).toBe(2);
    expect(crm.tickets.size).toBe(4);
  });

  it('stores what other jobs came to where one’s results can’t be stored', async () => {
    await store.takeIn(Array.from({ length: 105 }, (_, i) => ticket(`call-${i}`)));
    running = startWriter(config(baseUrl, { batching: 'always' }), store, {}, (seams) => ({
      ...seams,
      store: new Proxy(seams.store, {
        get: (from, name): unknown => {
          const member = from[name as keyof typeof from];
          if (name !== 'record') return member.bind(from);
          return (record: Parameters<typeof from.record>[0]) =>
            record.effects.length === 5 ? Promise.reject(new Error('unstorable')) : from.record(record);
        },
      }),
    }));
    await untilAll('done', 100);
    expect((await store.counts('acme')).states).toEqual({ done: 100, sent: 5 });
  });

  it('asks for no list of jobs where it is a contact that got no answer', async () => {
    const keys = ['phone:+491'];
    const request = { method: 'POST', path: '/x', body: null, idempotencyKey: null } as const;
    const call = { account: 'acme', callId: 'k1', kind: 'users.create', priority: 'live', grantId: 'g' } as const;
    expect(await store.claimContact({ ...call, request, keys, step: 'create', underWayForMs: -1 })).toBe(true);
    await store.recordContact({
      account: 'acme',
      call: { callId: 'k1', sends: 1, answer: null },
      keys,
      step: 'create',
      expiresInMs: 0,
      becomes: { is: 'unknown', askInMs: -1, attempts: 1 },
    });
    expect(await store.bulksToList('acme', 10)).toEqual([]);
    expect(await store.nextDue('acme')).toMatchObject({ jobListInMs: null });
  });

  it('takes contact and queue from the ticket command that counts, not from one that is dropped', async () => {
    const first = ticket('call-1', { queuePath: null });
    const second = ticket('call-1', { queuePath: 'sales', contact: { ...NOBODY, phone: '+491' } });
    await store.takeIn([first]);
    await store.takeIn([second]);
    expect(await sql('SELECT contact_key, queue_path FROM crm_writer.interaction')).toEqual([
      { contact_key: null, queue_path: null },
    ]);
  });

  const returnerOf = ({ quota }: RunningWriter): PlaceReturner => {
    const ended = new AbortController().signal;
    return new PlaceReturner({ account: 'acme', store, quota, clock: systemClock, log: silentLog, ended });
  };

  it('gives the place back of a writer that died between the grant and the claim', async () => {
    await store.takeIn([ticket('call-1'), ticket('call-2')]);
    let granted = false;
    const dying = startWriter(config(baseUrl, { batching: 'always' }), store, {}, (seams) => ({
      ...seams,
      store: new Proxy(seams.store, {
        get: (from, name): unknown => {
          if (name === 'claim') {
            granted = true;
            return () => new Promise(() => undefined);
          }
          const member = from[name as keyof typeof from];
          return typeof member === 'function' ? member.bind(from) : member;
        },
      }),
    }));
    await until('granted', () => granted);
    await dying.abandon();
    const [[grantId]] = [...dying.quota.grants] as [[string, unknown]];
    const places = returnerOf(dying);
    dying.quota.away = true;
    expect(await places.returnLeft(0)).toBe(0);
    dying.quota.away = false;
    expect(await places.returnLeft(0)).toBe(1);
    expect(dying.quota.released).toEqual([`hold-${grantId}`]);
    expect(dying.quota.grants.get(grantId)?.settled).toBe('returned');
    expect(await places.returnLeft(0)).toBe(0);
  });

  it('leaves no request behind that was claimed, and none to be claimed that is being given back', async () => {
    await startWith(3);
    await untilAll('done', 3);
    expect(await sql('SELECT request_id FROM crm_writer.asked')).toEqual([]);
    const place = { requestId: 'r1', kind: 'tickets.create_many', priority: 'live' } as const;
    expect(await store.askForPlace('acme', place)).toBe(true);
    expect(await store.askForPlace('acme', place)).toBe(true);
    expect(await store.takePlacesLeft('acme', 60_000, 10)).toEqual([]);
    expect(await store.takePlacesLeft('acme', 0, 10)).toEqual([place]);
    expect(await store.askForPlace('acme', place)).toBe(false);
  });

  it('asks under the same id again where the ledger gave no answer', async () => {
    await store.takeIn([ticket('call-1'), ticket('call-2')]);
    const ids: (string | undefined)[] = [];
    running = startWriter(config(baseUrl, { batching: 'always' }), store, {}, (seams) => ({
      ...seams,
      quota: new Proxy(seams.quota, {
        get: (from, name): unknown => {
          const member = from[name as keyof typeof from];
          if (name !== 'acquire') return member.bind(from);
          return async (...[account, wanted]: Parameters<typeof from.acquire>) => {
            ids.push(wanted.requestId);
            const acquired = await from.acquire(account, wanted);
            return ids.length < 3 ? { acquired: 'silent', retryInMs: 20 } : acquired;
          };
        },
      }),
    }));
    await untilAll('done', 2);
    expect(ids.slice(0, 3)).toEqual([expect.any(String), ids[0], ids[0]]);
    expect([...running.quota.grants.values()].filter(({ kind }) => kind === 'tickets.create_many')).toHaveLength(1);
  });
});
