import { beforeEach, describe, expect, it } from '@jest/globals';
import type { Command, Outcome } from '#contracts';
import { comment, inAccount, ticket } from '../test/commands.js';
import type { ItemEffect } from './domain/effect.js';
import type { PlannedItem } from './domain/plan-calls.js';
import type { CallRecord, Claim, ContactClaim, NextQuery, WriteStore } from './write.store.js';

/* oxlint-disable jest/no-export -- one suite for every adapter, run by the spec of each */

export interface StoreUnderTest {
  readonly store: WriteStore;
  /** Outcomes of an account that wait for being published, oldest first. */
  readonly outcomes: (account: string) => Promise<Outcome[]>;
}

const CALLER = { phone: '+12025550147', userId: null, email: null, name: null };
const KEY = 'phone:+12025550147';
const HOUR_MS = 3_600_000;
const REQUEST = { method: 'POST', path: '/api/v2/tickets', body: Buffer.from('{}'), idempotencyKey: 'k' } as const;

/** What every adapter of the writer's memory promises. Stories use no waits: what is due is due now, or in an hour. */
export function describeWriteStore(name: string, open: () => Promise<StoreUnderTest>): void {
  let store: WriteStore;
  let outcomes: (account: string) => Promise<Outcome[]>;
  let account: string;
  let stories = 0;

  const creates: NextQuery = { sort: 'create', limit: 10, exclude: [] };
  const updates: NextQuery = { sort: 'update', limit: 10, exclude: [] };
  const given = (...commands: Command[]): Command[] => commands.map((one) => inAccount(account, one));
  const takeIn = async (...commands: Command[]): Promise<Command[]> => {
    const here = given(...commands);
    await store.takeIn(here);
    return here;
  };
  const ids = async (query: NextQuery): Promise<string[]> =>
    (await store.next(account, query)).interactions.map(({ interactionId }) => interactionId);

  const item = (commands: readonly Command[], more: Partial<PlannedItem> = {}): PlannedItem => ({
    interactionId: commands[0]!.data.interactionId,
    commandIds: commands.map(({ id }) => id),
    ticketId: null,
    knownTicketId: null,
    followUpOf: null,
    externalId: `ccai-${commands[0]!.data.interactionId}`,
    subject: 's',
    requester: { by: 'none' },
    contactKeys: [],
    attempts: 0,
    comment: { body: 'text', public: false },
    tags: [],
    customFields: [],
    ...more,
  });

  const claimOf = (callId: string, items: readonly PlannedItem[], more: Partial<Claim> = {}): Claim => ({
    account,
    callId: `${account}-${callId}`,
    kind: 'tickets.create',
    writer: 'single',
    priority: 'normal',
    grantId: `grant-${callId}`,
    holdIds: [],
    requestId: null,
    request: REQUEST,
    items,
    underWayForMs: HOUR_MS,
    ...more,
  });
  const bulk = (callId: string, items: readonly PlannedItem[], more: Partial<Claim> = {}): Claim =>
    claimOf(callId, items, { kind: 'tickets.create_many', writer: 'batch', ...more });

  const contactClaim = (callId: string, more: Partial<ContactClaim> = {}): ContactClaim => ({
    account,
    callId: `${account}-${callId}`,
    kind: 'users.create',
    priority: 'normal',
    grantId: `grant-${callId}`,
    request: REQUEST,
    underWayForMs: HOUR_MS,
    keys: [KEY],
    step: 'create',
    ...more,
  });

  /** Records what an answer meant for the items of a call, in their order. */
  const record = (
    { callId, items }: Claim,
    effects: readonly ItemEffect[],
    next: CallRecord['next'] = { to: 'settled' },
    sends = 1,
  ): Promise<boolean> =>
    store.record({
      account,
      callId,
      sends,
      answer: { status: 200, body: Buffer.from('{}') },
      next,
      effects: effects.map((effect, index) => ({ index, interactionId: items[index]!.interactionId, effect })),
    });

  const states = async (interactionId: string): Promise<string[]> =>
    ((await store.view(account, interactionId))?.commands ?? []).map(({ state }) => state);

  /** An interaction that has its ticket. */
  const ticketed = async (interactionId: string, ticketId: number, made = ticket(interactionId)): Promise<void> => {
    const claim = claimOf(`made-${interactionId}`, [item(await takeIn(made))]);
    await store.claim(claim);
    await record(claim, [{ effect: 'done', ticketId }]);
  };

  const waiting = (inMs: number, more: object = {}): ItemEffect => ({
    effect: 'waiting',
    inMs,
    attempts: 1,
    solo: false,
    code: 'conflict',
    ...more,
  });
  const unknown = (askInMs: number, own = false): ItemEffect => ({ effect: 'unknown', code: 'timeout', askInMs, own });
  const done = (ticketId: number): ItemEffect => ({ effect: 'done', ticketId });

  describe(`${name}`, () => {
    beforeEach(async () => {
      ({ store, outcomes } = await open());
      stories += 1;
      account = `story-${stories}`;
    });

    describe('taking commands in', () => {
      it('knows each command once, and one ticket command an interaction', async () => {
        const commands = given(ticket('call-1'), comment('call-1', 'hello'));
        expect(await store.takeIn(commands)).toBe(2);
        expect(await store.takeIn(commands)).toBe(0);
        expect(await store.takeIn(given(ticket('call-1')))).toBe(0);
        expect(await store.takeIn([])).toBe(0);
        expect(await states('call-1')).toEqual(['waiting', 'waiting']);
      });

      it('brings a done command back under no circumstances', async () => {
        const commands = given(ticket('call-1'));
        await ticketed('call-1', 7, ticket('call-1'));
        await store.takeIn(commands);
        expect(await states('call-1')).toEqual(['done']);
      });

      it('lets nothing go before the command that makes the ticket is there', async () => {
        await takeIn(comment('call-1', 'early'));
        expect(await store.countWaiting(account)).toEqual({ creates: 0, createsLive: 0, updates: 0, updatesLive: 0 });
        await takeIn(ticket('call-1'));
        const up = await store.next(account, creates);
        expect(up.interactions[0]!.commands.map(({ action }) => action.kind)).toEqual(['ensureTicket', 'addComment']);
      });

      it('keeps accounts apart', async () => {
        await takeIn(ticket('call-1'));
        expect((await store.next('another', creates)).interactions).toEqual([]);
        expect(await store.view('another', 'call-1')).toBeNull();
      });
    });

    describe('what goes next', () => {
      it('is ordered by priority, then age', async () => {
        await takeIn(
          ticket('call-1', {}),
          { ...ticket('call-2'), data: { ...ticket('call-2').data, priority: 'backlog', eventAt: 1 } },
          { ...ticket('call-3'), data: { ...ticket('call-3').data, priority: 'normal', eventAt: 2 } },
          ticket('call-4'),
        );
        expect(await ids(creates)).toEqual(['call-1', 'call-4', 'call-3', 'call-2']);
        expect(await ids({ ...creates, limit: 1 })).toEqual(['call-1']);
        expect(await store.countWaiting(account)).toMatchObject({ creates: 4, createsLive: 2, updates: 0 });
      });

      it('leaves out what is excluded by interaction, contact or ticket', async () => {
        await takeIn(ticket('call-1', { contact: CALLER }), ticket('call-2'));
        await ticketed('call-3', 7);
        await takeIn(comment('call-3', 'more'));
        expect(await ids({ ...creates, exclude: ['call-2'] })).toEqual(['call-1']);
        expect(await ids({ ...creates, exclude: [KEY] })).toEqual(['call-2']);
        expect(await ids({ ...updates, exclude: ['ticket:7'] })).toEqual([]);
        expect(await ids(updates)).toEqual(['call-3']);
      });

      it('lets one interaction of a contact go at a time while a ticket is being made for it', async () => {
        const [first] = await takeIn(ticket('call-1', { contact: CALLER }), ticket('call-2', { contact: CALLER }));
        const claim = claimOf('a', [item([first!])]);
        expect(await store.claim(claim)).toBe(true);
        expect(await ids(creates)).toEqual([]);
        await record(claim, [done(7)]);
        expect(await ids(creates)).toEqual(['call-2']);
      });

      it('names the newest open ticket of the same contact and queue where tickets are appended to', async () => {
        const append = { mode: 'append', contact: CALLER, queuePath: 'support' } as const;
        await ticketed('call-1', 7, ticket('call-1', append));
        await ticketed('call-2', 9, ticket('call-2', append));
        await ticketed('call-3', 11, ticket('call-3', { ...append, queuePath: 'sales' }));
        await takeIn(ticket('call-4', append), ticket('call-5', { ...append, mode: 'new' }));
        const { interactions } = await store.next(account, creates);
        expect(interactions.map(({ interactionId, appendTo }) => [interactionId, appendTo])).toEqual([
          ['call-4', 9],
          ['call-5', null],
        ]);
      });

      it('tells what is remembered of the contacts', async () => {
        await takeIn(ticket('call-1', { contact: CALLER }));
        expect((await store.next(account, creates)).contacts.size).toBe(0);
        await store.recordContact({
          account,
          call: null,
          keys: [KEY],
          step: 'search',
          expiresInMs: 0,
          becomes: { is: 'known', userId: 5 },
        });
        expect((await store.next(account, creates)).contacts.get(KEY)).toEqual({
          userId: 5,
          step: null,
          refusedFor: null,
          busy: false,
          attempts: 0,
        });
      });

      it('waits as long as it was told to, and says when that is over', async () => {
        const claim = claimOf('a', [item(await takeIn(ticket('call-1')))]);
        await store.claim(claim);
        await record(claim, [waiting(HOUR_MS)]);
        expect(await ids(creates)).toEqual([]);
        expect(await store.countWaiting(account)).toMatchObject({ creates: 0, createsLive: 0 });
        const { waitingInMs } = await store.nextDue(account);
        expect(waitingInMs).toBeGreaterThan(HOUR_MS - 60_000);
        expect(waitingInMs).toBeLessThanOrEqual(HOUR_MS);
      });
    });

    describe('a claim', () => {
      it('takes commands out of waiting, with its grant, once', async () => {
        const commands = await takeIn(ticket('call-1'), comment('call-1', 'x'));
        const claim = claimOf('a', [item(commands)]);
        expect(await store.claim(claim)).toBe(true);
        expect(await states('call-1')).toEqual(['sent', 'sent']);
        expect(await store.claim(claimOf('b', [item(commands)]))).toBe(false);
        expect(await ids(creates)).toEqual([]);
        expect((await store.nextDue(account)).sentInMs).toBeGreaterThan(HOUR_MS - 60_000);
      });

      it('fails whole where one of its items changed meanwhile', async () => {
        const [one, other] = await takeIn(ticket('call-1'), ticket('call-2'));
        await store.claim(claimOf('a', [item([one!])]));
        expect(await store.claim(bulk('b', [item([other!]), item([one!])]))).toBe(false);
        expect(await states('call-2')).toEqual(['waiting']);
        expect(await store.itemsOf(`${account}-b`)).toEqual([]);
        const moved = claimOf('c', [item([other!], { knownTicketId: 7, ticketId: 7 })]);
        expect(await store.claim(moved)).toBe(false);
        expect(await store.claim(claimOf('d', [item([other!])]))).toBe(true);
      });

      it('lets later commands of the same interaction wait until it is over', async () => {
        const [made] = await takeIn(ticket('call-1'));
        const claim = claimOf('a', [item([made!])]);
        await store.claim(claim);
        await takeIn(comment('call-1', 'later'));
        expect(await ids(creates)).toEqual([]);
        await record(claim, [done(7)]);
        expect(await ids(updates)).toEqual(['call-1']);
        expect((await store.view(account, 'call-1'))?.ticketId).toBe(7);
      });

      it('makes a place that was asked for its own, unless that is being given back', async () => {
        const [one, other] = await takeIn(ticket('call-1'), ticket('call-2'));
        const asked = { requestId: `${account}-r`, kind: 'tickets.create_many', priority: 'normal' } as const;
        expect(await store.claim(bulk('a', [item([one!])], { requestId: asked.requestId }))).toBe(false);
        expect(await store.askForPlace(account, asked)).toBe(true);
        expect(await store.askForPlace(account, asked)).toBe(true);
        expect(await store.takePlacesLeft(account, HOUR_MS, 10)).toEqual([]);
        expect(await store.claim(bulk('b', [item([one!])], { requestId: asked.requestId }))).toBe(true);
        expect(await store.takePlacesLeft(account, -1_000, 10)).toEqual([]);
        await store.askForPlace(account, asked);
        expect(await store.takePlacesLeft(account, -1_000, 10)).toEqual([asked]);
        expect(await store.askForPlace(account, asked)).toBe(false);
        expect(await store.claim(bulk('c', [item([other!])], { requestId: asked.requestId }))).toBe(false);
        await store.forgetPlace(asked.requestId);
        expect(await store.takePlacesLeft(account, -1_000, 10)).toEqual([]);
      });
    });

    describe('an answer', () => {
      it('is recorded once, with its outcomes', async () => {
        const commands = await takeIn(ticket('call-1'), comment('call-1', 'x'));
        const claim = claimOf('a', [item(commands)]);
        await store.claim(claim);
        expect(await record(claim, [done(7)])).toBe(true);
        expect(await record(claim, [waiting(0)])).toBe(false);
        expect(await states('call-1')).toEqual(['done', 'done']);
        const told = await outcomes(account);
        expect(told.map(({ type, data }) => [type, data.commandId, data.ticketId])).toEqual(
          commands.map(({ id }) => ['done', id, 7]),
        );
        expect(told[0]!.data).toMatchObject({ grantId: 'grant-a', writer: 'single', mergedWith: 2, reason: null });
      });

      it('changes nothing where it is of another attempt', async () => {
        const claim = claimOf('a', [item(await takeIn(ticket('call-1')))]);
        await store.claim(claim);
        expect(await record(claim, [done(7)], { to: 'settled' }, 2)).toBe(false);
        expect(await states('call-1')).toEqual(['sent']);
      });

      it('gives the grant up where the commands wait again', async () => {
        const commands = await takeIn(ticket('call-1'), comment('call-1', 'x'));
        const claim = claimOf('a', [item(commands)]);
        await store.claim(claim);
        await record(claim, [waiting(0, { solo: true })]);
        const [next] = (await store.next(account, creates)).interactions;
        expect(next).toMatchObject({ solo: true });
        expect(next!.commands.map(({ attempts }) => attempts)).toEqual([1, 1]);
        expect(await store.claim(claimOf('b', [item(commands)]))).toBe(true);
        expect(await outcomes(account)).toEqual([]);
      });

      it('that parks a command holds its interaction back, and no other', async () => {
        const claim = claimOf('a', [item(await takeIn(ticket('call-1')))]);
        await takeIn(comment('call-1', 'x'), ticket('call-2'));
        await store.claim(claim);
        await record(claim, [{ effect: 'parked', code: 'crm_invalid', text: 'no' }]);
        expect(await ids(creates)).toEqual(['call-2']);
        expect(await states('call-1')).toEqual(['parked', 'waiting']);
        expect((await outcomes(account))[0]).toMatchObject({
          type: 'parked',
          data: { reason: { code: 'crm_invalid', text: 'no' } },
        });
      });

      it('that a ticket is closed lets the interaction go on in another that follows it', async () => {
        const append = { mode: 'append', contact: CALLER } as const;
        await ticketed('call-1', 7, ticket('call-1', append));
        const [more] = await takeIn(comment('call-1', 'more'));
        const claim = claimOf('a', [item([more!], { ticketId: 7, knownTicketId: 7 })], { kind: 'tickets.update' });
        await store.claim(claim);
        await record(claim, [{ effect: 'followUp' }]);
        const [next] = (await store.next(account, creates)).interactions;
        expect(next).toMatchObject({ interactionId: 'call-1', ticketId: null, followUpOf: 7 });
      });
    });

    describe('a call in doubt', () => {
      it('is found where nobody waits for it, and its items are asked for', async () => {
        const [one, other] = await takeIn(ticket('call-1'), ticket('call-2'));
        await store.claim(claimOf('a', [item([one!])], { underWayForMs: -1 }));
        await store.claim(claimOf('b', [item([other!])], { underWayForMs: -1 }));
        expect(await store.abandonSent(account, [`${account}-b`])).toBe(1);
        expect(await states('call-1')).toEqual(['unknown']);
        expect(await states('call-2')).toEqual(['sent']);
        expect((await store.nextDue(account)).itemInMs).toBeLessThanOrEqual(0);
        expect(await store.itemsToAsk(account, 10, ['call-1'])).toEqual([]);
        const [asked] = await store.itemsToAsk(account, 10, []);
        expect(asked).toMatchObject({
          callId: `${account}-a`,
          sends: 1,
          index: 0,
          single: true,
          own: false,
          interactionId: 'call-1',
          commandIds: [one!.id],
          externalId: 'ccai-call-1',
          hasComment: true,
          asks: 0,
          cursor: null,
        });
      });

      it('is asked again later, where a question didn’t decide it', async () => {
        const claim = claimOf('a', [item(await takeIn(ticket('call-1')))]);
        await store.claim(claim);
        await record(claim, [unknown(0, true)]);
        const { callId } = claim;
        await store.askedItem(callId, 0, { cursor: 'page-2', inMs: -1, counted: true });
        await store.askedItem(callId, 0, { cursor: 'page-2', inMs: -1, counted: false });
        expect((await store.itemsToAsk(account, 10, []))[0]).toMatchObject({ asks: 1, cursor: 'page-2', own: true });
        await store.askedItem(callId, 0, { cursor: null, inMs: HOUR_MS, counted: true });
        expect(await store.itemsToAsk(account, 10, [])).toEqual([]);
        expect((await store.nextDue(account)).itemInMs).toBeGreaterThan(HOUR_MS - 60_000);
      });

      it('goes again with the same bytes, once for each permission', async () => {
        const claim = claimOf('a', [item(await takeIn(ticket('call-1')))]);
        await store.claim(claim);
        await record(claim, [unknown(0)]);
        const { callId } = claim;
        await store.record({ account, callId, sends: 1, answer: null, next: { to: 'again', inMs: -1 }, effects: [] });
        expect((await store.nextDue(account)).againInMs).toBeLessThanOrEqual(0);
        expect(await store.callsToSendAgain(account, 10, [callId])).toEqual([]);
        const [again] = await store.callsToSendAgain(account, 10, []);
        expect(again).toMatchObject({ callId, sends: 1, kind: 'tickets.create', request: { idempotencyKey: 'k' } });
        expect(again!.item).toMatchObject({ index: 0, interactionId: 'call-1', commands: 1 });
        const resend = { callId, sends: 1, grantId: 'grant-2', underWayForMs: HOUR_MS };
        expect(await store.claimAgain(resend)).toBe(true);
        expect(await store.claimAgain(resend)).toBe(false);
        expect(await states('call-1')).toEqual(['sent']);
        expect(await record(claim, [done(7)])).toBe(false);
        expect(await record(claim, [done(7)], { to: 'settled' }, 2)).toBe(true);
        expect((await outcomes(account))[0]!.data.grantId).toBe('grant-2');
      });
    });

    describe('a bulk job', () => {
      it('keeps its items until its results are recorded, one by one', async () => {
        const commands = await takeIn(ticket('call-1'), ticket('call-2'), ticket('call-3'));
        const claim = bulk(
          'a',
          commands.map((one) => item([one])),
          { holdIds: ['h1'] },
        );
        await store.claim(claim);
        await record(claim, [], { to: 'job', jobId: `${account}-job`, total: 3, pollInMs: -1 });
        const [job] = await store.runningJobs(account, 10);
        expect(job).toMatchObject({
          callId: claim.callId,
          total: 3,
          polls: 0,
          misses: 0,
          due: true,
          grantId: 'grant-a',
        });
        expect((await store.nextDue(account)).holds).toBe(false);
        expect(await store.abandonSent(account, [])).toBe(0);
        await store.polled(account, [{ jobId: `${account}-job`, inMs: HOUR_MS, missed: true }]);
        expect((await store.runningJobs(account, 10))[0]).toMatchObject({ polls: 1, misses: 1, due: false });
        expect(await store.itemsOf(claim.callId)).toHaveLength(3);
        await record(claim, [done(7), waiting(0), unknown(0)]);
        expect(await store.runningJobs(account, 10)).toEqual([]);
        expect(await store.itemsOf(claim.callId)).toMatchObject([{ index: 2, interactionId: 'call-3' }]);
        expect((await Promise.all(['call-1', 'call-2', 'call-3'].map(states))).flat()).toEqual([
          'done',
          'waiting',
          'unknown',
        ]);
        expect((await outcomes(account))[0]!.data).toMatchObject({ writer: 'batch', mergedWith: 3 });
        expect(await store.holdsToRelease(account, 10)).toEqual([{ callId: claim.callId, holdIds: ['h1'] }]);
        await store.holdsReleased([claim.callId]);
        expect((await store.nextDue(account)).holds).toBe(false);
      });

      it('whose beginning is in doubt has its items asked for only after the list of jobs', async () => {
        const claim = bulk('a', [item(await takeIn(ticket('call-1')))], { holdIds: ['h1'] });
        await store.claim(claim);
        await record(claim, [unknown(-1)], { to: 'jobsUnknown', askInMs: -1 });
        expect(await store.itemsToAsk(account, 10, [])).toEqual([]);
        expect(await store.holdsToRelease(account, 10)).toEqual([]);
        expect(await store.bulksToList(account, 10)).toEqual([
          { callId: claim.callId, sends: 1, priority: 'normal', asks: 0, suspects: null },
        ]);
        await store.askedJobs([claim.callId], { settled: false, suspects: ['job-9'], inMs: -1 });
        await store.askedJobs([claim.callId], { settled: false, suspects: ['job-10'], inMs: -1 });
        expect(await store.bulksToList(account, 10)).toMatchObject([{ asks: 2, suspects: ['job-9'] }]);
        await store.askedJobs([claim.callId], { settled: true, suspects: null, inMs: 0 });
        expect(await store.bulksToList(account, 10)).toEqual([]);
        expect(await store.itemsToAsk(account, 10, [])).toMatchObject([{ interactionId: 'call-1', single: false }]);
        expect(await store.holdsToRelease(account, 10)).toHaveLength(1);
      });

      it('that is stuck is looked at on and keeps its place, while its items are asked for', async () => {
        const claim = bulk('a', [item(await takeIn(ticket('call-1')))], { holdIds: ['h1'] });
        await store.claim(claim);
        const jobId = `${account}-job`;
        await record(claim, [], { to: 'job', jobId, total: 1, pollInMs: -1 });
        await record(claim, [unknown(-1)], { to: 'stuck', jobId, pollInMs: -1 });
        expect(await store.runningJobs(account, 10)).toMatchObject([{ jobId, polls: 1 }]);
        expect((await store.nextDue(account)).itemInMs).toBeLessThanOrEqual(0);
        expect(await store.itemsToAsk(account, 10, [])).toMatchObject([{ items: 1, mayStillRun: true }]);
        expect(await store.holdsToRelease(account, 10)).toEqual([]);
        const parked = { effect: 'parked', code: 'job_stuck', text: 't' } as const;
        await record(claim, [parked], { to: 'settled', mayRunOn: true });
        expect(await store.runningJobs(account, 10)).toHaveLength(1);
        expect(await store.holdsToRelease(account, 10)).toEqual([]);
        expect(await record(claim, [])).toBe(true);
        expect(await store.runningJobs(account, 10)).toEqual([]);
        expect(await store.holdsToRelease(account, 10)).toHaveLength(1);
      });

      it('whose beginning stays in doubt keeps its place, while its items are asked for and the list is read on', async () => {
        const claim = bulk('a', [item(await takeIn(ticket('call-1')))], { holdIds: ['h1'] });
        await store.claim(claim);
        await record(claim, [unknown(60_000)], { to: 'jobsUnknown', askInMs: -1 });
        await store.askedJobs([claim.callId], { settled: false, suspects: ['job-9'], inMs: -1, mayRunOn: true });
        expect(await store.itemsToAsk(account, 10, [])).toMatchObject([{ mayStillRun: true }]);
        await record(claim, [{ effect: 'parked', code: 'job_stuck', text: 't' }], { to: 'settled', mayRunOn: true });
        expect(await store.bulksToList(account, 10)).toHaveLength(1);
        expect(await store.holdsToRelease(account, 10)).toEqual([]);
        expect(await record(claim, [])).toBe(true);
        expect(await store.bulksToList(account, 10)).toEqual([]);
        expect(await store.holdsToRelease(account, 10)).toHaveLength(1);
      });

      it('whose end is told late has its items asked for as late as is told', async () => {
        const claim = bulk('a', [item(await takeIn(ticket('call-1')))]);
        await store.claim(claim);
        await record(claim, [unknown(-1)], { to: 'jobsUnknown', askInMs: -1 });
        await store.askedJobs([claim.callId], { settled: true, suspects: null, inMs: 0, itemsInMs: 60_000 });
        expect(await store.itemsToAsk(account, 10, [])).toEqual([]);
        expect((await store.nextDue(account)).itemInMs).toBeGreaterThan(50_000);
      });

      it('that failed as a whole leaves its interactions to smaller ones, until one succeeds', async () => {
        const commands = await takeIn(ticket('call-1'));
        const claim = bulk('a', [item(commands)]);
        await store.claim(claim);
        await record(claim, [waiting(0, { mostInJob: 50 })]);
        const second = bulk('b', [item(commands)]);
        await store.claim(second);
        await record(second, [waiting(0)]);
        expect((await store.next(account, creates)).interactions).toMatchObject([{ mostInJob: 50 }]);
        const third = bulk('c', [item(commands)]);
        await store.claim(third);
        await record(third, [done(7)]);
        await takeIn(comment('call-1', 'later'));
        expect((await store.next(account, updates)).interactions[0]).not.toHaveProperty('mostInJob');
      });
    });

    describe('a contact', () => {
      const becomes = (becomes: Parameters<WriteStore['recordContact']>[0]['becomes'], callId: string | null = null) =>
        store.recordContact({
          account,
          call: callId === null ? null : { callId: `${account}-${callId}`, sends: 1, answer: null },
          keys: [KEY],
          step: callId === null ? 'search' : 'create',
          expiresInMs: HOUR_MS,
          becomes,
        });
      const remembered = async () => (await store.next(account, creates)).contacts.get(KEY);

      beforeEach(() => takeIn(ticket('call-1', { contact: CALLER })).then(() => undefined));

      it('is made by one call at a time, and known from then on', async () => {
        await becomes({ is: 'step', step: 'create', inMs: 0, attempts: 2 });
        expect(await remembered()).toEqual({
          userId: null,
          step: 'create',
          refusedFor: null,
          busy: false,
          attempts: 2,
        });
        expect(await store.claimContact(contactClaim('a'))).toBe(true);
        expect(await store.claimContact(contactClaim('b'))).toBe(false);
        expect(await ids(creates)).toEqual([]);
        await becomes({ is: 'known', userId: 5 }, 'a');
        expect(await remembered()).toMatchObject({ userId: 5, step: null, busy: false });
        await becomes({ is: 'refused', code: 'contact_invalid', text: '' });
        expect(await remembered()).toMatchObject({ userId: 5 });
        expect(await store.claimContact(contactClaim('c'))).toBe(false);
      });

      it('that has to wait a while holds its interactions back as long', async () => {
        await becomes({ is: 'step', step: 'create', inMs: HOUR_MS, attempts: 1 });
        expect(await ids(creates)).toEqual([]);
        expect((await store.nextDue(account)).waitingInMs).toBeGreaterThan(HOUR_MS - 60_000);
      });

      it('that is refused stays so until that expires, and its ticket command can be parked', async () => {
        await becomes({ is: 'refused', code: 'contact_invalid', text: 'no' });
        expect(await remembered()).toMatchObject({ step: 'refused', refusedFor: 'contact_invalid', busy: false });
        expect(await ids(creates)).toEqual(['call-1']);
        await store.parkForContact(account, 'call-1', 'contact_invalid');
        expect(await states('call-1')).toEqual(['parked']);
        expect(await outcomes(account)).toMatchObject([{ type: 'parked', data: { grantId: null, writer: null } }]);
      });

      it('whose call has no answer is free again once that can no longer be under way', async () => {
        await store.claimContact(contactClaim('a'));
        await becomes({ is: 'unknown', askInMs: -1, attempts: 3 }, 'a');
        expect((await store.nextDue(account)).contactCallInMs).toBeLessThanOrEqual(0);
        expect(await ids(creates)).toEqual([]);
        expect(await store.freeContacts(account)).toBe(1);
        expect(await remembered()).toMatchObject({ step: 'create', busy: false, attempts: 3 });
        expect(await store.freeContacts(account)).toBe(0);
      });

      it('that late answers tell of changes nothing where another call holds it', async () => {
        await store.claimContact(contactClaim('a'));
        await becomes({ is: 'step', step: 'create', inMs: 0, attempts: 9 });
        await becomes({ is: 'known', userId: 5 }, 'a');
        expect(await remembered()).toMatchObject({ userId: 5, attempts: 0 });
      });

      it('known under one key becomes known under the others as its ticket is made', async () => {
        const [made] = await takeIn(ticket('call-2', { contact: { ...CALLER, userId: 'end_user_5' } }));
        const more = { requester: { by: 'userId', userId: 5 }, contactKeys: [KEY, 'user:end_user_5'] } as const;
        const claim = claimOf('a', [item([made!], more)]);
        await store.claim(claim);
        await record(claim, [done(7)]);
        expect(await remembered()).toMatchObject({ userId: 5 });
      });
    });

    it('lets commands lapse whose time has passed, and tells of them', async () => {
      const late = { ...ticket('call-1') };
      await takeIn({ ...late, data: { ...late.data, notAfter: 1_000 } }, ticket('call-2'));
      expect((await store.nextDue(account)).lapseInMs).toBeLessThan(0);
      expect(await store.lapse(account)).toBe(1);
      expect(await store.lapse(account)).toBe(0);
      expect(await states('call-1')).toEqual(['lapsed']);
      expect(await ids(creates)).toEqual(['call-2']);
      expect((await store.nextDue(account)).lapseInMs).toBeNull();
      expect(await outcomes(account)).toMatchObject([
        { type: 'lapsed', data: { reason: { code: 'not_after_passed' } } },
      ]);
    });

    it('counts states and calls, also those that only asked', async () => {
      await ticketed('call-1', 7);
      const [waits] = await takeIn(ticket('call-2'));
      await store.countRead(account, 'jobs.show');
      await store.countRead(account, 'jobs.show');
      expect(await store.counts(account)).toEqual({
        states: { done: 1, waiting: 1 },
        oldestWaitingAt: waits!.data.eventAt,
        callsByKind: { 'tickets.create': 1, 'jobs.show': 2 },
        writeCalls: 1,
        jobsRunning: 0,
        outbox: 1,
      });
    });

    it('has nothing due where nothing happened', async () => {
      expect(await store.nextDue(account)).toEqual({
        sentInMs: null,
        jobInMs: null,
        jobListInMs: null,
        itemInMs: null,
        againInMs: null,
        contactCallInMs: null,
        waitingInMs: null,
        lapseInMs: null,
        holds: false,
      });
      expect(
        await store.record({ account, callId: 'none', sends: 1, answer: null, next: { to: 'settled' }, effects: [] }),
      ).toBe(false);
    });

    describe('keeps commands of a dry run', () => {
      const dry = (one: Command): Command => ({ ...one, data: { ...one.data, dryRun: true } });
      const states = async () => (await store.counts(account)).states;

      it('apart from what is written, whatever is repeated', async () => {
        const [opening, said] = [ticket('call-1'), comment('call-1', 'more')];
        const taken = given(dry(opening), dry(said));
        expect(await store.takeIn(taken)).toBe(2);
        expect(await store.takeIn(taken)).toBe(0);
        expect(await states()).toEqual({ rehearsed: 2 });
        expect(await ids(creates)).toEqual([]);
        expect(await store.countWaiting(account)).toMatchObject({ creates: 0, updates: 0 });
        const [stored] = taken;
        expect(await store.claim(claimOf('k', [item([stored!])]))).toBe(false);
        expect(await store.nextDue(account)).toMatchObject({ waitingInMs: null });
      });

      it('until the same ones come again and are meant', async () => {
        const [opening, said] = [ticket('call-1'), comment('call-1', 'more')];
        await store.takeIn(given(dry(opening), dry(said)));
        expect(await store.takeIn(given(opening, said))).toBe(2);
        expect(await states()).toEqual({ waiting: 2 });
        const [next] = (await store.next(account, creates)).interactions;
        expect(next?.commands).toHaveLength(2);
        expect(await store.takeIn(given(dry(opening), dry(said)))).toBe(0);
        expect(await states()).toEqual({ waiting: 2 });
      });

      it('but for the one that makes the ticket of a later one that is meant, in whichever order they come', async () => {
        const early = comment('call-1', 'in the trial');
        await store.takeIn(given(dry(ticket('call-1')), dry(early)));
        await takeIn(comment('call-1', 'after it'));
        await takeIn(comment('call-2', 'before it'));
        await store.takeIn(given(dry(ticket('call-2'))));
        expect(await states()).toEqual({ rehearsed: 1, waiting: 4 });
        expect((await ids(creates)).toSorted()).toEqual(['call-1', 'call-2']);
      });

      it('and changes nothing about what was waiting before', async () => {
        const opening = ticket('call-1');
        await takeIn(opening);
        await store.takeIn(given(dry(opening), dry(comment('call-1', 'more'))));
        expect(await states()).toEqual({ waiting: 1, rehearsed: 1 });
        const [next] = (await store.next(account, creates)).interactions;
        expect(next?.commands).toHaveLength(1);
      });
    });
  });
}
