import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { NatsConnection } from '@nats-io/transport-node';
import { request } from 'undici';
import { randomId, systemClock } from '#clock';
import { parseLedgerEvent, type RefusalReason, type UsageAnswer } from '#contracts';
import { type Stack, startStack } from '#embedded';
import { connectNats, readStream } from '#jetstream';
import { type HeldGrant, natsTransport, QuotaClient, type QuotaTransport, type Wanted } from '#quota-client';
import { textOf } from '../house/source-files.js';
import { described } from '../support/described.js';
import { until } from '../support/until.js';

const START_LIMIT_MS = 60_000;
const PASSWORD = 'protocol-verbs-password';
const DAY_MAX = 100;
const WAIT_MS = 20_000;

const account = (name: string, crm: string, limits: string, quota: string, integrations: string): string => `
  ${name}:
    crm:
      type: zendesk
      baseUrl: http://127.0.0.1:9
      licence: team
      requestTimeoutMs: 1000
      ${crm}
      credential: { kind: apiToken, email: sluice@example.com, tokenRef: 'env:NONE' }
    limits: ${limits}
    quota: ${quota}
    integrations:
      ccai: {}
${integrations}`;

const OTHERS = `      one: { quota: { passwordRef: 'env:VERBS_PASSWORD' } }
      two: { quota: { passwordRef: 'env:VERBS_PASSWORD' } }`;
const NOTHING_KEPT = '{ liveReserve: 0%, spreadBacklog: false, foreign: 0 }';

/** Where it is early morning now: a day's window that neither ends while these tests run nor has just begun. */
function earlyZone(): string {
  const hoursAhead = (3 - new Date().getUTCHours() + 24) % 24;
  return hoursAhead <= 12 ? `Etc/GMT-${hoursAhead}` : `Etc/GMT+${24 - hoursAhead}`;
}

describe.each(['NATS', 'HTTP'] as const)('an integration that asks over %s', (over) => {
  let stack: Stack;
  const connections: NatsConnection[] = [];

  beforeAll(async () => {
    const day = `day: { max: ${DAY_MAX}, timeZone: ${earlyZone()} }, minute: { max: 100000 }`;
    const shares = `      steady: { quota: { passwordRef: 'env:VERBS_PASSWORD' }, share: { guarantee: { day: 40 } } }
      greedy: { quota: { passwordRef: 'env:VERBS_PASSWORD' }, share: { cap: { day: 30 } } }
      other: { quota: { passwordRef: 'env:VERBS_PASSWORD' } }`;
    stack = await startStack({
      dataDir: mkdtempSync(join(tmpdir(), 'sluice verbs ')),
      persistent: false,
      durable: false,
      simulator: null,
      apps: ['quota-ledger'],
      env: { VERBS_PASSWORD: PASSWORD },
      accountsYaml: () =>
        `accounts:${account('waits', '', `{ ${day}, inflight-jobs: { max: 3 } }`, NOTHING_KEPT, OTHERS)}` +
        account('quick', 'timeScale: 50', '{ minute: { max: 5 } }', NOTHING_KEPT, OTHERS) +
        account('shared', '', `{ ${day} }`, '{ liveReserve: 20%, spreadBacklog: false, foreign: 0 }', shares) +
        account(
          'shadow',
          '',
          `{ ${day} }`,
          '{ mode: shadow, liveReserve: 0%, spreadBacklog: false, foreign: 0 }',
          OTHERS,
        ) +
        '\n',
    });
  }, START_LIMIT_MS);

  afterAll(async () => {
    for (const nats of connections) await nats.close();
    await stack?.stop();
  });

  async function client(ofAccount: string, integration: string): Promise<QuotaClient> {
    const user = `${ofAccount}.${integration}`;
    let transport: QuotaTransport;
    if (over === 'NATS') {
      const nats = await connectNats({ servers: stack.nats.url, name: user, ...stack.credentials(user) });
      connections.push(nats);
      transport = natsTransport(nats);
    } else transport = httpTransport(stack.service('quota-ledger').url, user);
    return new QuotaClient({
      account: ofAccount,
      integration,
      transport: checked(transport),
      clock: systemClock,
      newId: randomId,
      patience: { answerWithinMs: 10_000 },
    });
  }

  const other = (calls: number, more: Partial<Wanted> = {}): Wanted => ({
    kind: 'other',
    calls: { min: calls, max: calls },
    ...more,
  });

  async function granted(asker: QuotaClient, wanted: Wanted): Promise<HeldGrant> {
    const acquired = await asker.acquire(wanted);
    if (acquired.answer !== 'granted') throw new Error(JSON.stringify(acquired));
    return acquired.grant;
  }

  const giveBack = (asker: QuotaClient, { grantId, calls }: HeldGrant) => asker.settle(grantId, { returned: calls });

  async function usageOf(asker: QuotaClient): Promise<UsageAnswer> {
    const usage = await asker.usage({ per: 'day' });
    if (usage.answer !== 'usage') throw new Error(usage.answer);
    return usage;
  }

  const refusal = (limit: string, reason: RefusalReason) => ({ answer: 'refused', limit, reason });

  it('waits until another settles, and is seen waiting', async () => {
    const [one, two] = [await client('waits', 'one'), await client('waits', 'two')];
    const all = await granted(one, other(DAY_MAX));
    const waiting = two.acquire(other(7, { waitMs: WAIT_MS }));
    await until('it waits', async () => (await usageOf(one)).waiting.length === 1);
    const { waiting: who, shares } = await usageOf(one);
    expect(who).toEqual([{ integration: 'two', priority: 'normal', requests: 1, calls: 7 }]);
    expect(shares.find(({ integration }) => integration === 'two')).toMatchObject({ requestsWaiting: 1 });
    expect(await one.acquire(other(1))).toMatchObject({ answer: 'refused' });
    await giveBack(one, all);
    const served = await waiting;
    if (served.answer !== 'granted') throw new Error(JSON.stringify(served));
    expect(served.grant.calls).toBe(7);
    await giveBack(two, served.grant);
  });

  it('is served by priority', async () => {
    const [one, two] = [await client('waits', 'one'), await client('waits', 'two')];
    const all = await granted(one, other(DAY_MAX));
    const served: string[] = [];
    const waits = (asker: QuotaClient, priority: 'live' | 'backlog'): Promise<void> =>
      granted(asker, other(DAY_MAX, { priority, waitMs: WAIT_MS })).then(async (grant) => {
        served.push(priority);
        await giveBack(asker, grant);
      });
    const areWaiting = (requests: number) =>
      until(`${requests} wait`, async () => (await usageOf(one)).waiting.length === requests);
    const backlog = waits(two, 'backlog');
    await areWaiting(1);
    const live = waits(one, 'live');
    await areWaiting(2);
    await giveBack(one, all);
    await Promise.all([backlog, live]);
    expect(served).toEqual(['live', 'backlog']);
  });

  it('is served at the next window', async () => {
    const [one, two] = [await client('quick', 'one'), await client('quick', 'two')];
    // Used, so that nothing comes free but by the window's end.
    for (;;) {
      const acquired = await one.acquire({ kind: 'other', calls: { min: 1, max: 5 } });
      if (acquired.answer !== 'granted') break;
      const sentAtMonoMs = systemClock.monotonicMs();
      const used = Array.from({ length: acquired.grant.calls }, () => ({
        sentAtMonoMs,
        answeredAtMonoMs: sentAtMonoMs,
      }));
      await one.settle(acquired.grant.grantId, { used });
    }
    const grant = await granted(two, other(5, { waitMs: WAIT_MS }));
    expect(grant.calls).toBe(5);
    await giveBack(two, grant);
  });

  it('ends its wait, and is told where it was too late for that', async () => {
    const [one, two] = [await client('waits', 'one'), await client('waits', 'two')];
    const all = await granted(one, other(DAY_MAX));
    const requestId = randomId();
    const waiting = two.acquire(other(2, { requestId, waitMs: WAIT_MS }));
    await until('it waits', async () => (await usageOf(one)).waiting.length === 1);
    expect(await two.cancel(requestId)).toEqual({ answer: 'cancelled', was: 'waiting', grantId: null });
    expect(await waiting).toMatchObject(refusal('day', 'limit_reached'));
    expect((await usageOf(one)).waiting).toEqual([]);
    await giveBack(one, all);
    const late = randomId();
    const grant = await granted(two, other(2, { requestId: late }));
    expect(await two.cancel(late)).toEqual({ answer: 'cancelled', was: 'granted', grantId: grant.grantId });
    expect(await two.cancel(randomId())).toEqual({ answer: 'cancelled', was: 'unknown', grantId: null });
    await giveBack(two, grant);
    const { rows } = await usageOf(one);
    expect(rows.reduce((sum, { open, used }) => sum + open + used, 0)).toBe(0);
  });

  it('takes places without calls, finds them again, and gives them back', async () => {
    const [one, two] = [await client('waits', 'one'), await client('waits', 'two')];
    const requestId = randomId();
    const held = await one.hold({ requestId, limit: 'inflight-jobs', places: 2 });
    if (held.answer !== 'held') throw new Error(JSON.stringify(held));
    expect(held.holdIds).toHaveLength(2);
    expect(await one.hold({ requestId, limit: 'inflight-jobs', places: 2 })).toEqual(held);
    expect(await two.hold({ limit: 'inflight-jobs', places: 2 })).toMatchObject(
      refusal('inflight-jobs', 'places_taken'),
    );
    expect(await two.hold({ limit: 'inflight-jobs', places: 4 })).toMatchObject({ code: 'never_fits' });
    expect(await two.hold({ limit: 'nothing', places: 1 })).toMatchObject({ code: 'invalid_request' });
    expect(await two.release(held.holdIds)).toEqual({ answer: 'released', released: 0 });
    expect((await usageOf(one)).holds).toMatchObject([{ limit: 'inflight-jobs', taken: 2 }]);
    expect(await one.release(held.holdIds)).toEqual({ answer: 'released', released: 2 });
    expect((await usageOf(one)).holds).toMatchObject([{ taken: 0 }]);
  });

  it('is told when calls would be had', async () => {
    const one = await client('waits', 'one');
    const wanted = { kind: 'other', calls: 3, priority: 'normal' } as const;
    expect(await one.forecast(wanted)).toMatchObject({ eta: { fromMs: 0, toMs: 0 }, limit: null, waiting: [] });
    const all = await granted(one, other(DAY_MAX));
    const forecast = await one.forecast(wanted);
    if (forecast.answer !== 'forecast') throw new Error(forecast.answer);
    expect(forecast.limit).toBe('day');
    expect(forecast.eta.toMs).toBeGreaterThan(3_600_000);
    expect(forecast.limits.find(({ limit }) => limit === 'day')).toMatchObject({ max: DAY_MAX, remaining: 0 });
    await giveBack(one, all);
  });

  it('has its guarantee, is held to its cap, and leaves the reserve to live', async () => {
    const [steady, greedy, third] = [
      await client('shared', 'steady'),
      await client('shared', 'greedy'),
      await client('shared', 'other'),
    ];
    expect(await greedy.acquire(other(31))).toMatchObject({ answer: 'rejected', code: 'never_fits' });
    const capped = await granted(greedy, other(30));
    expect(await greedy.acquire(other(1))).toMatchObject(refusal('day', 'cap_reached'));
    const standing = async (integration: string) => {
      const { shares } = await usageOf(third);
      return shares.find((share) => share.integration === integration)!.limits.find(({ limit }) => limit === 'day')!;
    };
    expect(await standing('greedy')).toEqual({ limit: 'day', guarantee: 0, cap: 30, used: 30, worth: 0 });
    const { worth, ...rest } = await standing('steady');
    expect(rest).toEqual({ limit: 'day', guarantee: 40, cap: null, used: 0 });
    expect(worth).toBeGreaterThan(30);
    const free = DAY_MAX - 30;
    expect(await third.acquire(other(free - worth + 1, { priority: 'live' }))).toMatchObject(
      refusal('day', 'guaranteed_to_others'),
    );
    expect(await third.acquire(other(free - worth))).toMatchObject(refusal('day', 'reserved_for_live'));
    const live = await granted(third, other(free - worth, { priority: 'live' }));
    const guaranteed = await granted(steady, other(worth));
    expect(await steady.acquire(other(1))).toMatchObject(refusal('day', 'limit_reached'));
    for (const [asker, grant] of [
      [greedy, capped],
      [third, live],
      [steady, guaranteed],
    ] as const)
      await giveBack(asker, grant);
  });

  it('is refused nothing in shadow mode, and sees what would have been', async () => {
    const one = await client('shadow', 'one');
    const all = await granted(one, other(DAY_MAX));
    expect(all.wouldRefuse).toBeNull();
    const more = await granted(one, other(3));
    expect(more.wouldRefuse).toEqual({ limit: 'day', reason: 'limit_reached' });
    const usage = await usageOf(one);
    expect(usage.mode).toBe('shadow');
    expect(usage.rows).toMatchObject([{ integration: 'one', granted: DAY_MAX + 3, wouldRefuse: 3 }]);
    await giveBack(one, all);
    await giveBack(one, more);
  });

  it('finds on LEDGER what the page says of it', async () => {
    const operator = await connectNats({ servers: stack.nats.url, name: 'operator', ...stack.credentials('operator') });
    connections.push(operator);
    const told = await until('all is told', async () => {
      const messages = await readStream(operator, 'LEDGER', parseLedgerEvent);
      const types = new Set(messages.map(({ type }) => type));
      return (
        ['applied', 'granted', 'settled', 'held', 'released'].every((type) => types.has(type as never)) && messages
      );
    });
    const rows = [...textOf('docs/protocol.md').matchAll(/^\| `([a-z]+)` +\| (.*) \|$/gm)];
    const toldOf = new Map(rows.map(([, event, text]) => [event!, text!]));
    const unexplained = told.flatMap(({ type, data }) =>
      data.entries.flatMap((entry) =>
        Object.keys(entry).filter((field) => !new RegExp(`\\b${field}\\b`).test(toldOf.get(type) ?? '')),
      ),
    );
    expect([...new Set(unexplained)]).toEqual([]);
  });
});

/** Every answer is as the description for machines says. */
function checked(transport: QuotaTransport): QuotaTransport {
  return {
    ask: async (...asked) => {
      const heard = await transport.ask(...asked);
      if (heard.heard === 'answer') described(heard.answer as Record<string, unknown>);
      return heard;
    },
  };
}

/** The protocol's other face: docs/protocol.md, over HTTP. */
function httpTransport(url: string, user: string): QuotaTransport {
  const headers = {
    authorization: `Basic ${Buffer.from(`${user}:${PASSWORD}`).toString('base64')}`,
    'content-type': 'application/json',
  };
  return {
    ask: async (subject, body) => {
      const [, , ofAccount, whose, verb] = subject.split('.');
      const path = verb === undefined ? whose! : `integrations/${whose}/${verb}`;
      const at = `${url}/v1/accounts/${ofAccount}/${path}`;
      const { body: answer } = await request(at, { method: 'POST', headers, body: JSON.stringify(body) });
      return { heard: 'answer', answer: await answer.json() };
    },
  };
}
