/* A client that knows nothing of the simulator: node-zendesk from npm, unmodified. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createClient } from 'node-zendesk';
import { until } from '../../../test/support/until.js';
import { type RunningSimulator, startSimulator } from './start-simulator.js';

const SPEED = 50;

describe('node-zendesk, unmodified', () => {
  let simulator: RunningSimulator;
  let client: ReturnType<typeof createClient>;

  beforeAll(async () => {
    simulator = await startSimulator({
      port: 0,
      host: '127.0.0.1',
      speed: SPEED,
      choices: { licence: 'high-volume', searchLagMs: 0 },
    });
    client = createClient({
      username: 'agent@acme.example',
      token: 'secret',
      subdomain: 'acme',
      endpointUri: `${simulator.url}/api/v2`,
    });
  });

  afterAll(async () => {
    await simulator.stop();
  });

  interface JobAnswer {
    readonly result: {
      readonly job_status: { id: string; status: string; results: { id: number; success?: boolean }[] };
    };
  }

  async function resultsOf(submitted: unknown): Promise<{ id: number; success?: boolean }[]> {
    const { id } = (submitted as JobAnswer).result.job_status;
    return until('the job has completed', async () => {
      const { result } = (await client.jobstatuses.show(id as never)) as never as JobAnswer;
      return result.job_status.status === 'completed' && result.job_status.results;
    });
  }

  it('creates and updates a ticket', async () => {
    const { result: created } = await client.tickets.create({
      ticket: { subject: 'A call', comment: { body: 'It rang' }, external_id: 'call-1' },
    } as never);
    expect(created).toMatchObject({ external_id: 'call-1', status: 'new' });
    const { result: updated } = await client.tickets.update(created.id, {
      ticket: { status: 'open', comment: { body: 'More' } },
    } as never);
    expect(updated).toMatchObject({ id: created.id, status: 'open' });
    const { result: shown } = await client.tickets.show(created.id);
    expect(shown).toMatchObject({ subject: 'A call' });
  });

  it('creates a hundred and updates many in jobs', async () => {
    const tickets = Array.from({ length: 100 }, (_, index) => ({ subject: `Bulk ${index}`, comment: { body: 'x' } }));
    const created = await resultsOf(await client.tickets.createMany({ tickets } as never));
    expect(created).toHaveLength(100);
    const ids = created.slice(0, 3).map(({ id }) => id);
    const updated = await resultsOf(
      await client.tickets.updateMany(ids as never, { ticket: { priority: 'high' } } as never),
    );
    expect(updated).toMatchObject([{ success: true }, { success: true }, { success: true }]);
  });

  it('lists all tickets page by page', async () => {
    const all = (await client.tickets.list()) as unknown as { id: number }[];
    expect(new Set(all.map(({ id }) => id)).size).toBe(101);
  });

  it('makes, finds and shows users', async () => {
    const { result: user } = await client.users.create({
      user: { name: 'Ada', email: 'ada@example.com', phone: '+15550100' },
    } as never);
    expect(user).toMatchObject({ name: 'Ada' });
    const { result: again } = await client.users.createOrUpdate({
      user: { name: 'Ada L.', email: 'ada@example.com' },
    } as never);
    expect(again).toMatchObject({ id: user.id, name: 'Ada L.' });
    const found = (await client.users.search({ query: 'phone:+15550100' } as never)) as never as
      { result?: unknown[] } | unknown[];
    expect(Array.isArray(found) ? found : found.result).toMatchObject([{ id: user.id }]);
    const { result: me } = await client.users.me();
    expect(me).toMatchObject({ email: 'agent@acme.example' });
  });

  it('searches tickets', async () => {
    const found = (await client.search.query('type:ticket external_id:call-1')) as never as { result: unknown };
    expect(JSON.stringify(found.result)).toContain('call-1');
  });

  it('reads a ticket’s history', async () => {
    const audits = (await client.ticketaudits.list(1)) as unknown as unknown[];
    expect(audits.length).toBeGreaterThan(0);
  });

  it('is told why a call is refused', async () => {
    await expect(client.tickets.show(999_999)).rejects.toThrow(/404|Not Found/i);
    await expect(client.tickets.create({ ticket: { subject: 'no comment' } } as never)).rejects.toThrow(/422/);
  });
});
