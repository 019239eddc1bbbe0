import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { connectNats } from '#jetstream';
import { subjects } from '#contracts';
import { until } from '../support/until.js';
import { callEvents, envelope, type RunningSluice, startSluice } from './running-sluice.js';

const START_LIMIT_MS = 60_000;

describe('an interaction', () => {
  let sluice: RunningSluice;
  beforeAll(async () => {
    sluice = await startSluice();
  }, START_LIMIT_MS);
  afterAll(() => sluice.stop());

  const outcomesOf = async (interactionId: string) =>
    (await sluice.outcomes()).filter(({ data }) => data.interactionId === interactionId);

  it('becomes one ticket with all that happened in it, each call under a grant', async () => {
    const { started, assigned, ended, dispositioned } = callEvents(1, '+12025550101');
    for (const event of [started, assigned, ended, dispositioned])
      expect(await sluice.post('calls', envelope(event))).toMatchObject({ status: 202, body: { accepted: 1 } });
    const outcomes = await until('all commands done', async () => {
      const found = await outcomesOf('call-1');
      return found.length >= 3 && found.every(({ type }) => type === 'done') ? found : null;
    });
    const books = await sluice.books();
    expect(books.ticketsPerExternalId).toEqual({ 'ccai-call-1': 1 });
    for (const { data } of outcomes) expect(books.marks[data.commandId]).toBe(1);
    expect(new Set(outcomes.map(({ data }) => data.grantId)).has(null)).toBe(false);
    const usage = await until('the ledger has settled as many calls as the CRM has counted', async () => {
      const { rows } = await sluice.usage('day');
      const used = rows.filter(({ integration }) => integration === 'ccai').reduce((sum, row) => sum + row.used, 0);
      return used === books.calls ? rows : null;
    });
    for (const { granted, used, returned, expired, open } of usage)
      expect(granted).toBe(used + returned + expired + open);
    expect(await sluice.audit()).toMatchObject({ ok: true, refusals: { ours: 0 } });
  });

  it('still becomes one ticket when its events come backwards, twice, and with a gap', async () => {
    const { assigned, ended, dispositioned } = callEvents(2, '+12025550102');
    await sluice.post('calls', envelope(dispositioned, ended, dispositioned));
    await sluice.post('calls', envelope(assigned, ended));
    await until('all commands done', async () => {
      const found = await outcomesOf('call-2');
      return found.length >= 3 && found.every(({ type }) => type === 'done');
    });
    const books = await sluice.books();
    expect(books.ticketsPerExternalId['ccai-call-2']).toBe(1);
    expect(books.contactsPerPhone['+12025550102']).toBe(1);
    expect(await sluice.audit()).toMatchObject({ ok: true });
  });

  it('is taken over NATS as over HTTP, from the integration that may publish it', async () => {
    const { ended } = callEvents(3, '+12025550103');
    const ccai = await connectNats({
      servers: sluice.stack.nats.url,
      name: 'ccai',
      ...sluice.stack.credentials('flow.ccai'),
    });
    const reporting = await connectNats({
      servers: sluice.stack.nats.url,
      name: 'reporting',
      ...sluice.stack.credentials('flow.reporting'),
    });
    try {
      const subject = subjects.ingest('flow', 'ccai', 'calls');
      const body = JSON.stringify(envelope(ended));
      const answer = await ccai.request(subject, body, { timeout: 5_000 });
      expect(answer.json()).toMatchObject({ accepted: 1 });
      await expect(reporting.request(subject, body, { timeout: 2_000 })).rejects.toThrow(/permission/i);
      await until('a ticket', async () => (await sluice.books()).ticketsPerExternalId['ccai-call-3'] === 1);
    } finally {
      await Promise.all([ccai.close(), reporting.close()]);
    }
  });

  it('that makes no sense is refused with its reason, and spoils nothing beside it', async () => {
    const { ended } = callEvents(4, '+12025550104');
    const answer = await sluice.post('calls', envelope({ event_id: 'x', nonsense: true }, ended));
    expect(answer).toMatchObject({
      status: 202,
      body: { accepted: 1, rejected: [{ index: 0, code: expect.any(String) }] },
    });
  });
});
