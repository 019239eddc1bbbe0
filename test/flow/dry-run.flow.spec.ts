import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { request } from 'undici';
import { until } from '../support/until.js';
import { callEvents, type RunningSluice, startSluice } from './running-sluice.js';

const DRY_RUN = '    dryRun: true\n';

interface Status {
  readonly writes: Readonly<Record<string, number>>;
  readonly dryRun: {
    readonly on: boolean;
    readonly commands: number;
    readonly ticketsMade: number;
    readonly ticketsChanged: number;
    readonly calls: Readonly<Record<string, number>>;
  } | null;
}

describe('a dry run of the whole gateway', () => {
  let sluice: RunningSluice;

  beforeAll(async () => {
    sluice = await startSluice({ account: DRY_RUN });
  }, 60_000);

  afterAll(async () => {
    await sluice?.stop();
  });

  const status = async (): Promise<Status> => {
    const { body } = await request(`${sluice.stack.service('crm-writer').url}/v1/accounts/flow/status`);
    return (await body.json()) as Status;
  };

  async function call(id: number, ...names: (keyof ReturnType<typeof callEvents>)[]): Promise<void> {
    const events = callEvents(id, `+1202555${String(1_000 + id)}`);
    for (const name of names) expect(await sluice.post('calls', events[name])).toMatchObject({ status: 202 });
  }

  it('plans and counts, and makes not one call', async () => {
    await call(1, 'started', 'assigned');
    await until('the first is planned', async () => (await status()).dryRun?.ticketsMade === 1);
    await call(1, 'ended', 'dispositioned');
    await call(2, 'started', 'assigned', 'ended', 'dispositioned');
    const ended = await until('both are planned', async () => {
      const outcomes = await sluice.outcomes();
      const { dryRun, writes } = await status();
      return (
        dryRun?.commands === outcomes.length && dryRun.ticketsMade === 2 && outcomes.length >= 4 && { dryRun, writes }
      );
    });
    expect(new Set((await sluice.outcomes()).map(({ type }) => type))).toEqual(new Set(['rehearsed']));
    expect(ended.dryRun).toMatchObject({
      on: true,
      ticketsMade: 2,
      calls: { 'users.search': 2, 'users.create': 2, 'tickets.create': 2 },
    });
    expect(ended.dryRun.ticketsChanged).toBe(ended.dryRun.calls['tickets.update'] ?? 0);
    expect(ended.writes).toMatchObject({ waiting: 0, sent: 0, done: 0, rehearsed: ended.dryRun.commands });
    expect(await sluice.books()).toMatchObject({ calls: 0, tickets: 0 });
    expect((await sluice.usage('day')).rows).toEqual([]);
  });

  it('leaves nothing to be written when it is over, and the gateway writes what comes then', async () => {
    const before = await status();
    await sluice.configure('');
    await until('it is over', async () => (await status()).dryRun?.on === false);
    await call(3, 'started', 'assigned', 'ended');
    await until('the third is written', async () => (await sluice.books()).tickets === 1);
    await until('nothing waits', async () => {
      const { writes } = await status();
      return writes['waiting'] === 0 && writes['sent'] === 0;
    });
    expect(Object.keys((await sluice.books()).ticketsPerExternalId)).toEqual(['ccai-call-3']);
    expect((await status()).dryRun).toEqual({ ...before.dryRun, on: false });
  });

  it('lets a session that goes on after it have its ticket', async () => {
    await call(2, 'ended');
    await until('it has its ticket', async () => {
      const { ticketsPerExternalId } = await sluice.books();
      return ticketsPerExternalId['ccai-call-2'] === 1;
    });
    expect((await sluice.audit()).ok).toBe(true);
    expect((await sluice.books()).ticketsPerExternalId).toEqual({ 'ccai-call-2': 1, 'ccai-call-3': 1 });
  });

  it('keeps what waits for the CRM when it begins, and writes it when it is over', async () => {
    await sluice.control('PUT', 'outage', { as: 'status', status: 503 });
    await call(4, 'started', 'assigned');
    await until('the fourth is on its way', async () => {
      const { writes } = await status();
      return writes['waiting']! + writes['sent']! + writes['unknown']! > 0;
    });
    await sluice.configure(DRY_RUN);
    await until('it is on', async () => (await status()).dryRun?.on === true);
    await sluice.control('DELETE', 'outage');
    const { calls } = await sluice.books();
    await call(5, 'started', 'assigned');
    await until('the fifth is planned', async () => (await status()).dryRun?.ticketsMade === 3);
    expect(await sluice.books()).toMatchObject({ calls, tickets: 2 });
    await sluice.configure('');
    await until('the fourth is written', async () => (await sluice.books()).tickets === 3, 30_000);
    expect((await sluice.books()).ticketsPerExternalId).toMatchObject({ 'ccai-call-4': 1 });
  }, 60_000);
});
