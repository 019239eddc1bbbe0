import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { parseOutcome } from '#contracts';
import { until } from '../../../test/support/until.js';
import { comment, config, NOBODY, ticket } from '../test/commands.js';
import { type RunningWriter, startWriter } from '../test/running-writer.js';
import { SmallCrm } from '../test/small-crm.js';
import { type WriterDatabase, writerDatabase } from '../test/writer-database.js';

describe('a parked command', () => {
  let database: WriterDatabase;
  let crm: SmallCrm;
  let running: RunningWriter;

  beforeAll(async () => {
    database = await writerDatabase('redrive spec');
  });

  afterAll(async () => {
    await database?.drop();
  });

  beforeEach(async () => {
    await database.empty();
    crm = new SmallCrm();
    running = startWriter(config(await crm.listen()), database.store);
  });

  afterEach(async () => {
    await running.stop();
    await crm.close();
  });

  const statesOf = async (interactionId: string): Promise<string> =>
    ((await database.store.view('acme', interactionId))?.commands ?? []).map(({ state }) => state).join(' ');
  const untilStates = (interactionId: string, states: string): Promise<unknown> =>
    until(`${interactionId} ${states}`, async () => (await statesOf(interactionId)) === states);

  it('is listed with its reason, its age and the beginning of the answer', async () => {
    const description = 'no '.repeat(300);
    const body = { error: 'RecordInvalid', details: { subject: [{ error: 'BlankValue', description }] } };
    crm.fault = () => ({ status: 422, body });
    await database.store.takeIn([ticket('call-1')]);
    await untilStates('call-1', 'parked');
    const [parked, ...others] = await database.store.parked('acme', 10);
    expect(others).toEqual([]);
    expect(parked).toMatchObject({
      interactionId: 'call-1',
      kind: 'ensureTicket',
      ticketId: null,
      reason: { code: 'crm_invalid', text: 'RecordInvalid: subject BlankValue' },
      redriven: 0,
      answer: { status: 422 },
    });
    expect(parked!.answer!.text).toHaveLength(400);
    const longest = await database.store.longestParkedMs('acme');
    expect(longest).toBeGreaterThanOrEqual(parked!.parkedForMs);
    expect(await database.store.longestParkedMs('other')).toBeNull();
  });

  it('taken up again goes alone, with those behind it following, and tells its second end too', async () => {
    crm.fault = ({ body }) => (body.includes('poison') ? { status: 422, body: { error: 'RecordInvalid' } } : null);
    await database.store.takeIn([ticket('call-1'), comment('call-1', 'poison'), comment('call-1', 'behind')]);
    await untilStates('call-1', 'done parked waiting');
    expect(await database.store.redrive('acme', 'call-1')).toBe(1);
    running.writer.wake();
    await until('refused again', () => crm.callsTo(/PUT/).length === 2);
    await untilStates('call-1', 'done parked waiting');
    crm.fault = () => null;
    expect(await database.store.redrive('acme', 'call-1')).toBe(1);
    expect(await database.sql('SELECT reason_code FROM crm_writer.write WHERE redriven = 2')).toEqual([
      { reason_code: 'crm_invalid' },
    ]);
    expect(await database.store.redrive('acme', 'call-1')).toBe(0);
    running.writer.wake();
    await untilStates('call-1', 'done done done');
    const told = (await database.sql('SELECT payload FROM crm_writer.outbox ORDER BY id')).map(({ payload }) => {
      const outcome = parseOutcome(payload as Buffer);
      return outcome.ok ? outcome.value : null;
    });
    const poison = told.find((outcome) => outcome?.type === 'parked')!.data.commandId;
    expect(told.filter((one) => one?.data.commandId === poison).map((one) => [one?.type, one?.id])).toEqual([
      ['parked', `outcome-${poison}`],
      ['parked', `outcome-${poison}-1`],
      ['done', `outcome-${poison}-2`],
    ]);
  });

  it.each([
    ['did it after all', true],
    ['never did it', false],
  ])('that was left in doubt is asked for first: the CRM %s', async (_how, didIt) => {
    let lost = 0;
    crm.fault = ({ method, path }) => {
      if (method === 'POST' && lost++ === 0) return didIt ? 'lost after' : 'lost before';
      return path.includes('external_id') ? { status: 200, body: { tickets: null } } : null;
    };
    await database.store.takeIn([ticket('call-1')]);
    await until('in doubt', async () => (await statesOf('call-1')) === 'unknown');
    await database.sql('UPDATE crm_writer.item SET asks = 40');
    await untilStates('call-1', 'parked');
    expect(await database.store.parked('acme', 1)).toMatchObject([{ reason: { code: 'undecided' }, answer: null }]);
    crm.fault = () => null;
    expect(await database.store.redrive('acme', 'call-1')).toBe(1);
    expect(await database.store.redrive('acme', 'call-1')).toBe(0);
    running.writer.wake();
    await untilStates('call-1', 'done');
    expect(crm.tickets.size).toBe(1);
    expect(crm.callsTo(/POST/)).toHaveLength(didIt ? 1 : 2);
  });

  it('for a contact that was refused has the contact made anew', async () => {
    crm.fault = ({ path }) => (path.endsWith('/users') ? { status: 422, body: { error: 'RecordInvalid' } } : null);
    await database.store.takeIn([ticket('call-1', { contact: { ...NOBODY, phone: '+491', userId: 'u1' } })]);
    await untilStates('call-1', 'parked');
    crm.fault = () => null;
    expect(await database.store.redrive('acme', 'call-1')).toBe(1);
    running.writer.wake();
    await untilStates('call-1', 'done');
    expect(crm.users).toHaveLength(1);
  });
});
