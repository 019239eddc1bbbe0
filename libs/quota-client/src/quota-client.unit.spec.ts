import { beforeEach, describe, expect, it } from '@jest/globals';
import { SimulatedLedger, SMOOTH } from '../test/simulated-ledger.js';
import { VirtualTime } from '../test/virtual-time.js';
import { QuotaClient } from './quota-client.js';
import type { GrantedCall } from './with-calls.js';

const OFFSET_MS = 5_000.25;

describe('a quota client', () => {
  let time: VirtualTime;
  let ledger: SimulatedLedger;
  let client: QuotaClient;
  let ids: number;
  beforeEach(() => {
    time = new VirtualTime();
    ledger = new SimulatedLedger(time);
    ids = 0;
    client = new QuotaClient({
      account: 'acme',
      integration: 'reporting',
      transport: ledger,
      clock: time.clock(OFFSET_MS),
      newId: () => `id-${(ids += 1)}`,
    });
  });

  const asked = (verb: string) => ledger.asked.filter((request) => request.verb === verb);
  const granted = async (work: ReturnType<QuotaClient['acquire']>) => {
    const acquired = await time.run(work);
    if (acquired.answer !== 'granted') throw new Error(acquired.answer);
    return acquired.grant;
  };

  it('counts validity from when it asked, and the earliest moment from when it was answered', async () => {
    ledger.fates = () => ({ ...SMOOTH, travelsMs: 100, answerTravelsMs: 200 });
    ledger.sendInMs = 40;
    const grant = await granted(client.acquire({ kind: 'other', calls: { min: 1, max: 4 } }));
    expect(grant.notBeforeMonoMs).toBe(OFFSET_MS + 300 + 40);
    expect(grant.validUntilMonoMs).toBe(OFFSET_MS + 40 + 10_000);
    expect([grant.mayLeave(grant.notBeforeMonoMs - 0.1), grant.mayLeave(grant.notBeforeMonoMs)]).toEqual([false, true]);
    expect([grant.mayLeave(grant.validUntilMonoMs - 0.1), grant.mayLeave(grant.validUntilMonoMs)]).toEqual([
      true,
      false,
    ]);
  });

  it('asks again under the same id where the answer is lost, and counts validity from the first time', async () => {
    let copies = 0;
    ledger.fates = () => ({ ...SMOOTH, answerLost: (copies += 1) === 1 });
    const grant = await granted(client.acquire({ kind: 'other' }));
    expect(asked('acquire').map(({ body }) => body['requestId'])).toEqual(['id-1', 'id-1']);
    // The first copy was answered into the void; what is left of its grant is told to the second, and counted from the first.
    expect(grant.validUntilMonoMs).toBeLessThan(OFFSET_MS + 10_000);
    expect(ledger.grants.size).toBe(1);
  });

  it('does not count copies that nobody received', async () => {
    let copies = 0;
    ledger.fates = () => ({ ...SMOOTH, nobody: (copies += 1) <= 3 });
    const acquiring = client.acquire({ kind: 'other', waitMs: 20_000 });
    const grant = await granted(acquiring);
    expect(grant.validUntilMonoMs).toBeGreaterThan(OFFSET_MS + 10_000 + 1_000);
  });

  it('is told at once where there is no ledger and it may not wait', async () => {
    ledger.fates = () => ({ ...SMOOTH, nobody: true });
    expect(await time.run(client.acquire({ kind: 'other' }))).toMatchObject({ answer: 'silent' });
    expect(time.nowMs).toBeLessThan(10);
  });

  it('keeps asking a ledger that is away for as long as it may wait, ever more slowly', async () => {
    ledger.fates = () => ({ ...SMOOTH, nobody: true });
    let tries = 0;
    const counting = { ask: (...args: Parameters<SimulatedLedger['ask']>) => ((tries += 1), ledger.ask(...args)) };
    const clock = time.clock();
    const waiting = new QuotaClient({ account: 'a', integration: 'b', transport: counting, clock, newId: () => 'id' });
    expect(await time.run(waiting.acquire({ kind: 'other', waitMs: 60_000 }))).toMatchObject({ answer: 'silent' });
    expect(time.nowMs).toBeGreaterThan(50_000);
    expect(time.nowMs).toBeLessThanOrEqual(60_001);
    expect(tries).toBeLessThan(20);
  });

  it('waits in the ledger within one request', async () => {
    ledger.grantsAfterMs = 25_000;
    const grant = await granted(client.acquire({ kind: 'other', waitMs: 30_000 }));
    expect(asked('acquire')).toHaveLength(1);
    expect(grant.isOver(OFFSET_MS + time.nowMs)).toBe(false);
    expect(grant.validUntilMonoMs).toBeLessThanOrEqual(OFFSET_MS + 25_001 + 10_000);
  });

  it('asks for no more waiting than is left of it', async () => {
    ledger.fates = () => (ledger.asked.length === 0 ? { ...SMOOTH, nobody: time.nowMs < 500 } : SMOOTH);
    ledger.grantsAfterMs = 5_000;
    await granted(client.acquire({ kind: 'other', waitMs: 8_000 }));
    expect(asked('acquire')[0]?.body['waitMs']).toBeLessThan(7_800);
  });

  it('hands on refusals and rejections as they are, and what it can’t read as a rejection', async () => {
    ledger.says = () => ({ answer: 'refused', limit: 'minute', reason: 'cap_reached', retryInMs: 70 });
    expect(await time.run(client.acquire({ kind: 'other' }))).toMatchObject({ answer: 'refused', retryInMs: 70 });
    ledger.says = () => ({ answer: 'rejected', code: 'never_fits', message: 'no' });
    expect(await time.run(client.acquire({ kind: 'other' }))).toMatchObject({ code: 'never_fits' });
    ledger.says = () => ({ answer: 'something new' });
    expect(await time.run(client.acquire({ kind: 'other' }))).toMatchObject({ code: 'unreadable_answer' });
  });

  it('makes no call where nothing gets decided, and waits no longer here than is sensible', async () => {
    ledger.says = () => ({ answer: 'unavailable', code: 'overloaded', message: '', retryInMs: 7_000 });
    expect(await time.run(client.acquire({ kind: 'other' }))).toEqual({ answer: 'silent', retryInMs: 7_000 });
    expect(time.nowMs).toBeLessThan(10);
  });

  it('settles with fresh durations under one id until it is heard', async () => {
    const grant = await granted(client.acquire({ kind: 'other', calls: { min: 1, max: 3 } }));
    const sentAtMonoMs = OFFSET_MS + time.nowMs + 0.5;
    await time.pass(100);
    let copies = 0;
    ledger.fates = () => ({ ...SMOOTH, lost: (copies += 1) === 1 });
    const made = { call: 1, sentAtMonoMs, answeredAtMonoMs: sentAtMonoMs + 50 };
    const settled = await time.run(client.settle(grant.grantId, { used: [made], returned: 2 }));
    expect(settled).toMatchObject({ answer: 'settled', used: 1, returned: 2 });
    // The first copy was lost for two seconds, and the second says how long ago it is by then.
    expect(asked('settle')).toMatchObject([{ body: { used: [{ call: 1, sentAgoMs: 2_300, answeredAgoMs: 2_249 }] } }]);
  });

  it('says what is not heard at all after a bound', async () => {
    ledger.fates = () => ({ ...SMOOTH, lost: true });
    expect(await time.run(client.settle('g', { returned: 1 }))).toMatchObject({ answer: 'silent' });
    expect(time.nowMs).toBeGreaterThan(10_000);
    expect(time.nowMs).toBeLessThan(30_000);
  });

  it('ends a wait by its signal, and tells the ledger', async () => {
    ledger.grantsAfterMs = 25_000;
    const stop = new AbortController();
    const acquiring = client.acquire({ kind: 'other', waitMs: 30_000, signal: stop.signal });
    await time.pass(1_000);
    stop.abort();
    expect(await time.run(acquiring)).toEqual({ answer: 'withdrawn' });
    expect(asked('cancel')).toMatchObject([{ body: { requestId: 'id-1' } }]);
    expect(time.nowMs).toBeLessThan(1_100);
    expect(ledger.grants.size).toBe(0);
  });

  it('returns what was granted while its wait was being ended', async () => {
    ledger.grantsAfterMs = 1_000;
    ledger.fates = () => ({ ...SMOOTH, travelsMs: 5, answerTravelsMs: 100 });
    const stop = new AbortController();
    const acquiring = client.acquire({ kind: 'other', calls: { min: 1, max: 3 }, waitMs: 9_000, signal: stop.signal });
    await time.pass(1_050);
    stop.abort();
    expect(await time.run(acquiring)).toEqual({ answer: 'withdrawn' });
    expect([...ledger.grants.values()]).toMatchObject([{ returned: 3, used: [] }]);
  });

  it('returns what was granted where the answer that said so was lost', async () => {
    ledger.grantsAfterMs = 1_000;
    ledger.fates = () => ({ ...SMOOTH, answerLost: ledger.asked.length === 0 });
    const stop = new AbortController();
    const acquiring = client.acquire({ kind: 'other', waitMs: 60_000, signal: stop.signal });
    await time.pass(2_000);
    stop.abort();
    expect(await time.run(acquiring)).toEqual({ answer: 'withdrawn' });
    expect([...ledger.grants.values()]).toMatchObject([{ returned: 1, used: [] }]);
  });

  it('passes on what headers say of limits, and nothing else', async () => {
    const headers = { 'X-Rate-Limit': '100', 'retry-after': ['5'], date: 'd', 'set-cookie': ['s'], etag: undefined };
    await time.run(
      client.observe({ grantId: 'g', kind: 'other', status: 429, headers, answeredAtMonoMs: OFFSET_MS - 3 }),
    );
    expect(asked('observe')).toMatchObject([
      { body: { status: 429, headers: { 'x-rate-limit': '100', 'retry-after': '5', date: 'd' }, answeredAgoMs: 3 } },
    ]);
    expect(Object.keys(asked('observe')[0]!.body['headers'] as object)).toHaveLength(3);
  });

  describe('that makes calls itself', () => {
    const call = async (granted: GrantedCall, takesMs = 30): Promise<string> => {
      if (!granted.leave()) return 'late';
      await time.clock().sleep(takesMs);
      granted.answered({ status: 200, headers: { 'x-rate-limit': '9' } });
      return 'made';
    };

    it('makes as many as were granted, settles each by its own times, and tells what it saw', async () => {
      const ran = await time.run(
        client.withCalls({ kind: 'other', calls: { min: 1, max: 4 }, atOnce: 2 }, (granted) => call(granted)),
      );
      expect(ran).toMatchObject({ answer: 'ran', calls: Array(4).fill({ did: 'made', value: 'made' }) });
      expect(asked('observe')).toHaveLength(4);
      const { used, returned } = [...ledger.grants.values()][0]!;
      expect([used.length, returned]).toEqual([4, 0]);
      expect(used[2]!.fromMs - used[0]!.fromMs).toBeCloseTo(30, -1);
    });

    it('waits for the time from which calls may leave', async () => {
      ledger.sendInMs = 400;
      const ran = await time.run(client.withCalls({ kind: 'other' }, (granted) => call(granted)));
      expect(ran).toMatchObject({ calls: [{ did: 'made' }] });
      expect([...ledger.grants.values()][0]!.used[0]!.fromMs).toBeGreaterThanOrEqual(400);
    });

    it('returns calls whose time is over before they come to leave', async () => {
      const ran = await time.run(
        client.withCalls({ kind: 'other', calls: { min: 1, max: 3 }, atOnce: 1 }, (granted) => call(granted, 6_000)),
      );
      expect(ran).toMatchObject({ calls: [{ did: 'made' }, { did: 'made' }, { did: 'returned' }] });
      expect([...ledger.grants.values()]).toMatchObject([{ returned: 1 }]);
    });

    it('counts what threw as made and unanswered, unless it says that nothing left', async () => {
      const ran = await time.run(
        client.withCalls({ kind: 'other', calls: { min: 2, max: 2 } }, (granted) => {
          if (granted.call === 0) granted.notSent();
          return Promise.reject(new Error('no connection'));
        }),
      );
      expect(ran).toMatchObject({ calls: [{ did: 'returned' }, { did: 'failed' }] });
      expect([...ledger.grants.values()]).toMatchObject([{ returned: 1, used: [{ toMs: null }] }]);
    });

    it('lets no call leave twice', async () => {
      const left: boolean[] = [];
      await time.run(
        client.withCalls({ kind: 'other' }, (granted) => {
          left.push(granted.leave(), granted.leave());
          return Promise.resolve();
        }),
      );
      expect(left).toEqual([true, false]);
    });

    it('asks anew where a grant comes too late to be used, and returns that', async () => {
      const slow = { ...SMOOTH, answerTravelsMs: 1_900 };
      ledger.validForMs = 1_000;
      ledger.fates = () => (ledger.grants.size === 0 ? slow : SMOOTH);
      const ran = await time.run(client.withCalls({ kind: 'other' }, (granted) => call(granted)));
      expect(ran).toMatchObject({ answer: 'ran', calls: [{ did: 'made' }] });
      expect([...ledger.grants.values()].map(({ returned }) => returned)).toEqual([1, 0]);
    });

    it('asks again as it is told while it may wait, where the ledger lets nobody wait', async () => {
      let refusals = 3;
      ledger.says = (verb) =>
        verb === 'acquire' && (refusals -= 1) >= 0
          ? { answer: 'refused', limit: 'minute', reason: 'limit_reached', retryInMs: 700 }
          : null;
      const ran = await time.run(client.withCalls({ kind: 'other', waitMs: 5_000 }, (granted) => call(granted)));
      expect(ran).toMatchObject({ answer: 'ran' });
      expect(time.nowMs).toBeGreaterThanOrEqual(2_100);
    });

    it('says why there are none, and withdraws what nobody answered', async () => {
      ledger.fates = () => ({ ...SMOOTH, answerLost: true });
      expect(await time.run(client.withCalls({ kind: 'other' }, (granted) => call(granted)))).toMatchObject({
        answer: 'silent',
      });
      ledger.fates = () => SMOOTH;
      await time.pass(20_000);
      expect([...ledger.grants.values()]).toMatchObject([{ returned: 1 }]);
    });
  });
});
