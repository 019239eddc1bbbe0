import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Msg, NatsConnection, Subscription } from '@nats-io/transport-node';
import { type Clock, systemClock } from '#clock';
import type { AcquireRequest, ReleaseRequest, SettleRequest } from '#contracts';
import { connectNats } from '#jetstream';
import { type TestNats, testNats } from '../../../test/support/servers.js';
import { NatsQuotaClient } from './quota.client.js';

const wanted = { kind: 'tickets.create', keys: [], priority: 'live' } as const;
const granted = {
  answer: 'granted',
  grantId: 'g1',
  calls: 1,
  sendInMs: 40,
  validForMs: 5_000,
  settleWithinMs: 9_000,
  holdIds: ['h1'],
  remaining: [{ limit: 'minute', max: 100, remaining: 3, resetsInMs: 5 }],
};

describe('asking the ledger', () => {
  let nats: TestNats;
  let nc: NatsConnection;
  let doors: Subscription[] = [];
  let ids = 0;

  beforeAll(async () => {
    nats = await testNats();
    nc = await connectNats({ servers: nats.url, name: 'quota client spec' });
  });

  afterAll(async () => {
    await nc.close();
    await nats.stop();
  });

  afterEach(() => {
    for (const door of doors) door.unsubscribe();
    doors = [];
  });

  function ledger<T>(verb: string, answer: (request: T, nth: number, msg: Msg) => object | null): T[] {
    const asked: T[] = [];
    const door = nc.subscribe(`quota.v1.acme.ccai.${verb}`, {
      callback: (_error, msg) => {
        const request = msg.json<T>();
        asked.push(request);
        const said = answer(request, asked.length, msg);
        if (said) msg.respond(JSON.stringify(said));
      },
    });
    doors.push(door);
    return asked;
  }

  const client = (clock: Clock = systemClock): NatsQuotaClient =>
    new NatsQuotaClient(nc, clock, () => `id-${(ids += 1)}`);

  it('counts validity from when it asked, and the earliest moment from when it was answered', async () => {
    let nowMonoMs = 1_000;
    const asked = ledger<AcquireRequest>('acquire', () => {
      nowMonoMs += 300;
      return granted;
    });
    const acquired = await client({ ...systemClock, monotonicMs: () => nowMonoMs }).acquire('acme', wanted);
    if (acquired.acquired !== 'granted') throw new Error(acquired.acquired);
    const { notBeforeMonoMs, validUntilMonoMs, grantId, holdIds, remaining } = acquired.grant;
    expect(validUntilMonoMs).toBe(1_000 + 5_000);
    expect(notBeforeMonoMs).toBe(1_300 + 40);
    expect([grantId, holdIds, remaining]).toEqual(['g1', ['h1'], granted.remaining]);
    expect(asked).toMatchObject([{ kind: 'tickets.create', calls: { min: 1, max: 1 }, priority: 'live', waitMs: 0 }]);
  });

  it('asks again under the same id where no answer comes, and counts validity from the first time', async () => {
    let nowMonoMs = 1_000;
    const asked = ledger<AcquireRequest>('acquire', (_request, nth) => {
      nowMonoMs += 2_000;
      return nth === 1 ? null : granted;
    });
    const acquired = await client({ ...systemClock, monotonicMs: () => nowMonoMs }).acquire('acme', wanted);
    expect(asked).toHaveLength(2);
    expect(asked[1]).toEqual(asked[0]);
    if (acquired.acquired !== 'granted') throw new Error(acquired.acquired);
    expect(acquired.grant.validUntilMonoMs).toBe(1_000 + 5_000);
  });

  it('hands on refusals and rejections', async () => {
    const answers = [
      { answer: 'refused', limit: 'minute', reason: 'full', retryInMs: 70, eta: { fromMs: 70, toMs: 70 } },
      { answer: 'rejected', code: 'unknown_account', message: 'no such account' },
      { answer: 'something new' },
    ];
    ledger('acquire', (_request, nth) => answers[nth - 1]!);
    const ask = client();
    expect(await ask.acquire('acme', wanted)).toEqual({
      acquired: 'refused',
      limit: 'minute',
      reason: 'full',
      retryInMs: 70,
    });
    expect(await ask.acquire('acme', wanted)).toEqual({
      acquired: 'rejected',
      code: 'unknown_account',
      message: 'no such account',
    });
    expect(await ask.acquire('acme', wanted)).toMatchObject({ acquired: 'rejected', code: 'unreadable_answer' });
  });

  const undecided = [
    { answer: 'unavailable', code: 'overloaded', message: 'too many at once', retryInMs: 5 },
    { answer: 'rejected', code: 'internal_error', message: 'nobody knows' },
  ];

  it('asks again under the same id where nothing is decided yet', async () => {
    const asked = ledger<AcquireRequest>('acquire', (_request, nth) => undecided[nth - 1] ?? granted);
    expect(await client().acquire('acme', wanted)).toMatchObject({ acquired: 'granted' });
    expect(new Set(asked.map(({ requestId }) => requestId)).size).toBe(1);
    expect(asked).toHaveLength(3);
  });

  it('makes no call where nothing gets decided, and waits as long as it is told', async () => {
    ledger('acquire', () => ({ ...undecided[0], retryInMs: 7_000 }));
    expect(await client().acquire('acme', wanted)).toEqual({ acquired: 'silent', retryInMs: 7_000 });
  });

  it('keeps the id that it is handed', async () => {
    const asked = ledger<AcquireRequest>('acquire', () => granted);
    await client().acquire('acme', { ...wanted, requestId: 'mine' });
    expect(asked).toMatchObject([{ requestId: 'mine' }]);
  });

  it('settles again where the ledger can’t say whether it has', async () => {
    const quota = client({ ...systemClock, sleep: () => Promise.resolve() });
    const asked = ledger<SettleRequest>('settle', (_request, nth) => undecided[nth - 1] ?? { answer: 'settled' });
    expect(await quota.settle('acme', 'g1', { settled: 'returned' })).toBe(true);
    expect(asked).toHaveLength(3);
    expect(new Set(asked.map(({ requestId }) => requestId)).size).toBe(1);
  });

  it('takes places for given back only where the ledger says so', async () => {
    const quota = client({ ...systemClock, sleep: () => Promise.resolve() });
    const answers = [...undecided, { answer: 'released', released: 1 }];
    ledger('release', (_request, nth) => answers[nth - 1] ?? { answer: 'rejected', code: 'malformed', message: '' });
    expect(await quota.release('acme', ['h1'])).toBe(true);
    expect(await quota.release('acme', ['h1'])).toBe(false);
  });

  it('is told at once where there is no ledger', async () => {
    const beforeMs = systemClock.monotonicMs();
    expect(await client().acquire('acme', wanted)).toMatchObject({ acquired: 'silent' });
    expect(systemClock.monotonicMs() - beforeMs).toBeLessThan(1_000);
  });

  it('settles by durations, once more under the same id where it isn’t heard', async () => {
    let waited = 0;
    const clock: Clock = {
      nowMs: () => 0,
      monotonicMs: () => 1_000 + waited,
      sleep: () => Promise.resolve(void (waited += 50)),
    };
    const quota = client(clock);
    const settling = quota.settle('acme', 'g1', { settled: 'used', sentAtMonoMs: 900.5, answeredAtMonoMs: 950.5 });
    expect(await settling).toBe(false);
    const asked = ledger<SettleRequest>('settle', () => ({ answer: 'settled' }));
    waited = 0;
    await quota.settle('acme', 'g1', { settled: 'used', sentAtMonoMs: 900.5, answeredAtMonoMs: 950.5 });
    await quota.settle('acme', 'g2', { settled: 'returned' });
    expect(asked).toMatchObject([
      { grantId: 'g1', used: [{ sentAgoMs: 100, answeredAgoMs: 49 }], returned: 0 },
      { grantId: 'g2', used: [], returned: 1 },
    ]);
  });

  it('asks for several calls and settles each by its number', async () => {
    const acquires = ledger<AcquireRequest>('acquire', () => ({ ...granted, calls: 3, holdIds: ['h0', 'h1', 'h2'] }));
    const settles = ledger<SettleRequest>('settle', () => ({ answer: 'settled' }));
    const quota = client({ ...systemClock, monotonicMs: () => 1_000 });
    const keys = [{ ticket: '1' }, { ticket: '2' }, { ticket: '3' }, { ticket: '4' }];
    const acquired = await quota.acquire('acme', { ...wanted, keys, calls: { min: 2, max: 4 }, waitMs: 700 });
    expect(acquires).toMatchObject([{ calls: { min: 2, max: 4 }, keys, waitMs: 700 }]);
    expect(acquired).toMatchObject({ grant: { calls: 3, holdIds: ['h0', 'h1', 'h2'] } });
    const settlements = [
      { settled: 'used', call: 2, sentAtMonoMs: 900, answeredAtMonoMs: null },
      { settled: 'used', call: 0, sentAtMonoMs: 950, answeredAtMonoMs: 990 },
      { settled: 'returned' },
    ] as const;
    expect(await quota.settle('acme', 'g1', settlements)).toBe(true);
    expect(settles).toMatchObject([
      {
        used: [
          { call: 2, sentAgoMs: 100, answeredAgoMs: null },
          { call: 0, sentAgoMs: 50, answeredAgoMs: 10 },
        ],
        returned: 1,
      },
    ]);
  });

  it('tells of limits what the headers say, and nothing else', async () => {
    const asked = ledger<object>('observe', () => ({ answer: 'observed', closed: [] }));
    const headers = {
      'x-rate-limit': '100',
      'zendesk-ratelimit-tickets-update': 'total=1',
      'retry-after': '5',
      date: 'd',
      'set-cookie': 's',
      etag: 'e',
    };
    const observed = {
      grantId: 'g1',
      kind: 'tickets.create',
      status: 429,
      headers,
      refusal: 'text',
      answeredAtMonoMs: 0,
    } as const;
    await client().observe('acme', observed);
    const { 'set-cookie': _cookie, etag: _etag, ...telling } = headers;
    expect(asked).toMatchObject([{ grantId: 'g1', status: 429, refusal: 'text', headers: telling }]);
    expect(Object.keys((asked[0] as { headers: object }).headers)).toHaveLength(4);
  });

  it('knows whether places given back were heard of', async () => {
    const quota = client({ ...systemClock, sleep: () => Promise.resolve() });
    expect(await quota.release('acme', ['h1'])).toBe(false);
    const asked = ledger<ReleaseRequest>('release', () => ({ answer: 'released', released: 1 }));
    expect(await quota.release('acme', ['h1'])).toBe(true);
    expect(asked).toMatchObject([{ holdIds: ['h1'] }]);
  });
});
