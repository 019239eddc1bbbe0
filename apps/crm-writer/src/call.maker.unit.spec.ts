import { describe, expect, it } from '@jest/globals';
import { randomId, systemClock } from '#clock';
import { limitsOf } from '#limits';
import { silentLog } from '#telemetry';
import { config } from '../test/commands.js';
import { CallMaker } from './call.maker.js';
import { isFailing } from './domain/account-gate.js';
import { SimulatedQuotaClient } from './simulated.quota-client.js';
import type { CrmAnswer } from './zendesk/crm.js';

const REQUEST = { method: 'POST', path: '/api/v2/tickets', body: null, idempotencyKey: 'k' } as const;

/** A maker whose CRM answers so. */
function makerOf(answer: () => { status: number; body: unknown; headers?: Record<string, string> }) {
  const account = config('http://crm.example');
  const quota = new SimulatedQuotaClient({ clock: systemClock, newId: randomId });
  const send = (): Promise<CrmAnswer> => {
    const { status, body, headers = {} } = answer();
    const nowMs = systemClock.monotonicMs();
    return Promise.resolve({
      answer: 'answered',
      response: { status, headers, body: { type: 'json', value: body } },
      raw: new Uint8Array(),
      sentAtMonoMs: nowMs,
      answeredAtMonoMs: nowMs,
    });
  };
  const maker = new CallMaker({
    account: account.name,
    quota,
    crm: { send, close: () => Promise.resolve() },
    clock: systemClock,
    newId: randomId,
    random: () => 0,
    log: silentLog,
    limits: limitsOf(account),
    timeScale: 1_000,
    requestTimeoutMs: 100,
    ended: new AbortController().signal,
  });
  const make = () =>
    maker.make({
      callId: randomId(),
      kind: 'tickets.create',
      keys: [],
      priority: 'live',
      effect: true,
      about: {},
      claim: () => Promise.resolve(REQUEST),
      record: () => Promise.resolve(),
    });
  return { maker, make };
}

describe('the maker of calls', () => {
  it('does not take the CRM for failing because keys were used before', async () => {
    const { maker, make } = makerOf(() => ({ status: 400, body: { error: 'IdempotentRequestError' } }));
    for (let i = 0; i < 5; i += 1) await make();
    expect(isFailing(maker.gate)).toBe(false);
  });

  it('knows an outage by a probe that fails too, not by failures before it', async () => {
    const { maker, make } = makerOf(() => ({ status: 503, body: {} }));
    for (let i = 0; i < 3; i += 1) await make();
    expect([isFailing(maker.gate), maker.failedForAll(60_000)]).toEqual([true, false]);
    await make();
    expect(maker.failedForAll(60_000)).toBe(true);
    expect(maker.failedForAll(-60_000)).toBe(false);
  });

  it('knows the CRM’s clock from its answers', async () => {
    const date = 'Sun, 22 Nov 2026 18:00:00 GMT';
    const { maker, make } = makerOf(() => ({ status: 201, body: {}, headers: { date } }));
    expect(maker.crmNowMs()).toBeNull();
    await make();
    expect(maker.crmNowMs()! - Date.parse(date)).toBeGreaterThanOrEqual(0);
    expect(maker.crmNowMs()! - Date.parse(date)).toBeLessThan(10_000 * 1_000);
  });
});
