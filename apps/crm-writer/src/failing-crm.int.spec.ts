import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { systemClock } from '#clock';
import type { AccountConfig, Command } from '#contracts';
import { openPostgres, poolOf } from '#postgres';
import { type TestPostgres, testPostgres } from '../../../test/support/servers.js';
import { comment, config, NOBODY, ticket } from '../test/commands.js';
import { type RunningWriter, type Seams, startWriter } from '../test/running-writer.js';
import { type Fault, SmallCrm } from '../test/small-crm.js';
import { ENTITIES } from './entities/entities.js';
import { MIGRATIONS } from './migrations/migrations.js';
import { PostgresWriteStore } from './postgres.write-store.js';
import type { SimulatedQuotaOptions } from './simulated.quota-client.js';

const BROKEN: Fault = { status: 500, body: { error: 'InternalServerError' } };

describe('the writer of an account whose CRM fails in part', () => {
  let postgres: TestPostgres;
  let dataSource: DataSource;
  let store: PostgresWriteStore;
  let crm: SmallCrm;
  let baseUrl: string;
  let running: RunningWriter;

  beforeAll(async () => {
    postgres = await testPostgres();
    dataSource = await openPostgres({
      url: postgres.url,
      schema: 'crm_writer',
      entities: ENTITIES,
      migrations: MIGRATIONS,
      applicationName: 'failing spec',
      poolSize: 10,
    });
  });

  afterAll(async () => {
    await dataSource.destroy();
    await postgres.drop();
  });

  beforeEach(async () => {
    await poolOf(dataSource).query(
      'TRUNCATE crm_writer.call, crm_writer.interaction, crm_writer.contact, crm_writer.outbox, crm_writer.read_count CASCADE',
    );
    store = new PostgresWriteStore(poolOf(dataSource), systemClock);
    crm = new SmallCrm();
    baseUrl = await crm.listen();
  });

  afterEach(async () => {
    await running.stop();
    await crm.close();
  });

  function start(
    changed: Partial<AccountConfig> = {},
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
    const asks = async () => (await poolOf(dataSource).query('SELECT FROM crm_writer.item WHERE asks > 0')).rowCount;
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
});
