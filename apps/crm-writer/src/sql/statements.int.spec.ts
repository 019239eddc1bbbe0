import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Pool } from 'pg';
import type { Command, CommandAction, Contact, Priority } from '#contracts';
import { inTransaction, type Tx } from '#postgres';
import { type WriterDatabase, writerDatabase } from '../../test/writer-database.js';
import { outcomeOf } from '../domain/outcome-of.js';
import type { PlannedItem } from '../domain/plan-calls.js';
import { UNDER_A_GRANT } from '../domain/write.js';
import type { ItemEffectAt } from '../write.store.js';
import { abandonSent } from './abandon-sent.js';
import { addRead } from './add-read.js';
import { answerCall } from './answer-call.js';
import { askItemAgain } from './ask-item-again.js';
import { closeItems } from './close-items.js';
import { closeTickets } from './close-tickets.js';
import { countContactAttempts } from './count-contact-attempts.js';
import { countWaiting } from './count-waiting.js';
import { deleteOutbox } from './delete-outbox.js';
import { endJob } from './end-job.js';
import { forgetSent } from './forget-sent.js';
import { freeContacts } from './free-contacts.js';
import { freeInteractions } from './free-interactions.js';
import { insertCall } from './insert-call.js';
import { insertItems } from './insert-items.js';
import { insertJob } from './insert-job.js';
import { insertOutcomes } from './insert-outcomes.js';
import { insertWrites } from './insert-writes.js';
import { lapseWrites, selectLapsing } from './lapse-writes.js';
import { lockCall } from './lock-call.js';
import { lockInteractions } from './lock-interactions.js';
import { markHoldsReleased } from './mark-holds-released.js';
import { nextDue } from './next-due.js';
import { occupyContacts } from './occupy-contacts.js';
import { occupyInteractions } from './occupy-interactions.js';
import { parkTicketCommand } from './park-ticket-command.js';
import { refreshInteractions } from './refresh-interactions.js';
import { rememberContacts } from './remember-contacts.js';
import { rescheduleJobs } from './reschedule-jobs.js';
import { resendCall } from './resend-call.js';
import { type ContactSaved, saveContact } from './save-contact.js';
import { selectBulksToList } from './select-bulks-to-list.js';
import { selectCallsAgain } from './select-calls-again.js';
import { selectContacts } from './select-contacts.js';
import { selectCounts } from './select-counts.js';
import { selectHolds } from './select-holds.js';
import { selectInteraction } from './select-interaction.js';
import { selectItems } from './select-items.js';
import { selectItemsToAsk } from './select-items-to-ask.js';
import { selectJobs } from './select-jobs.js';
import { selectNext } from './select-next.js';
import { MAX_BYTES_PER_INTERACTION, selectWaitingWrites } from './select-waiting-writes.js';
import { sendWrites } from './send-writes.js';
import { settleJobLists } from './settle-job-lists.js';
import { settleWrites } from './settle-writes.js';
import { takeOutbox } from './take-outbox.js';
import { upsertInteractions } from './upsert-interactions.js';

const NOBODY: Contact = { phone: null, userId: null, email: null, name: null };
const ACCOUNT = 'acme';

/** What a look-up found out about a contact. */
const looked = (keys: readonly string[], becomes: ContactSaved['becomes']): ContactSaved => ({
  callId: null,
  keys,
  step: 'search',
  expiresInMs: 0,
  becomes,
});

interface Given {
  readonly kind?: Command['type'];
  readonly eventAt?: number;
  readonly priority?: Priority;
  readonly notAfter?: number | null;
  readonly body?: string;
  readonly contact?: Contact;
  readonly mode?: 'new' | 'append';
}

function command(id: string, interactionId: string, given: Given = {}): Command {
  const {
    kind = 'ensureTicket',
    eventAt = 1_000,
    priority = 'normal',
    notAfter = null,
    body = 'text',
    contact = NOBODY,
    mode = 'new',
  } = given;
  const actions: Record<Command['type'], CommandAction> = {
    ensureTicket: {
      kind: 'ensureTicket',
      mode,
      subject: 's',
      body,
      public: false,
      contact,
      queuePath: null,
      tags: [],
      customFields: [],
    },
    addComment: { kind: 'addComment', body, public: false },
    setFields: { kind: 'setFields', tags: ['t'], customFields: [] },
  };
  const data = {
    interactionId,
    action: actions[kind],
    eventAt,
    eventRank: 0,
    ordinal: 0,
    priority,
    notAfter,
    policyVersion: 1,
  };
  return {
    id,
    type: kind,
    schemaVersion: 1,
    account: ACCOUNT,
    occurredAt: eventAt,
    recordedAt: eventAt,
    causationId: 'e',
    traceparent: null,
    data,
  };
}

function item(interactionId: string, commandIds: string[], more: Partial<PlannedItem> = {}): PlannedItem {
  return {
    interactionId,
    commandIds,
    ticketId: null,
    knownTicketId: null,
    followUpOf: null,
    externalId: `p-${interactionId}`,
    subject: 's',
    requester: { by: 'none' },
    contactKeys: [],
    attempts: 0,
    comment: { body: 'text', public: false },
    tags: [],
    customFields: [],
    ...more,
  };
}

const done = (index: number, interactionId: string, ticketId: number): ItemEffectAt => ({
  index,
  interactionId,
  effect: { effect: 'done', ticketId },
});

describe('a statement of the writer', () => {
  let database: WriterDatabase;
  let pool: Pool;

  beforeAll(async () => {
    database = await writerDatabase('statements spec', 4);
    pool = database.pool;
  });

  afterAll(async () => {
    await database?.drop();
  });

  beforeEach(async () => {
    await database.empty();
  });

  const run = <T>(work: (tx: Tx) => Promise<T>): Promise<T> => inTransaction(pool, work);
  const rows = async (sql: string): Promise<unknown[]> => (await pool.query(sql)).rows as unknown[];

  async function takeIn(...commands: Command[]): Promise<string[]> {
    return run(async (tx) => {
      await upsertInteractions(
        tx,
        commands.map(({ data }) => ({
          account: ACCOUNT,
          interactionId: data.interactionId,
          contactKey:
            data.action.kind === 'ensureTicket' && data.action.contact.phone
              ? `phone:${data.action.contact.phone}`
              : null,
          queuePath: null,
        })),
      );
      const inserted = await insertWrites(tx, commands);
      await refreshInteractions(tx, ACCOUNT, [...new Set(commands.map(({ data }) => data.interactionId))]);
      return inserted;
    });
  }

  /** Claims items as one call, all as the store does it. */
  async function claim(
    callId: string,
    items: PlannedItem[],
    more: { batch?: boolean; holdIds?: string[]; underWayForMs?: number } = {},
  ): Promise<void> {
    const { batch = false, holdIds = [], underWayForMs = -1 } = more;
    await run(async (tx) => {
      const ids = items.map(({ interactionId }) => interactionId);
      await lockInteractions(tx, ACCOUNT, ids);
      await insertCall(tx, {
        callId,
        account: ACCOUNT,
        kind: batch ? 'tickets.create_many' : 'tickets.create',
        writer: batch ? 'batch' : 'single',
        priority: 'normal',
        grantId: `grant of ${callId}`,
        holdIds,
        request: { method: 'POST', path: '/x', body: Buffer.from('bytes'), idempotencyKey: batch ? null : callId },
        contactKeys: [],
        underWayForMs,
      });
      expect(await occupyInteractions(tx, ACCOUNT, callId, items)).toBe(items.length);
      const commandIds = items.flatMap((one) => one.commandIds);
      expect(await sendWrites(tx, { callId, grantId: `grant of ${callId}` }, commandIds)).toBe(commandIds.length);
      await insertItems(tx, ACCOUNT, callId, items);
      await refreshInteractions(tx, ACCOUNT, ids);
    });
  }

  async function apply(
    callId: string,
    effects: ItemEffectAt[],
    next: Parameters<typeof answerCall>[1]['next'] = { to: 'settled' },
  ) {
    return run(async (tx) => {
      await closeItems(tx, callId, effects);
      const settled = await settleWrites(tx, callId, effects);
      await freeInteractions(tx, ACCOUNT, callId, effects);
      await answerCall(tx, { callId, answer: { status: 201, body: Buffer.from('answer') }, next });
      await refreshInteractions(
        tx,
        ACCOUNT,
        effects.map(({ interactionId }) => interactionId),
      );
      return settled;
    });
  }

  const next = (sort: 'create' | 'update' = 'create', exclude: string[] = []) =>
    run((tx) => selectNext(tx, ACCOUNT, { sort, limit: 10, exclude }));
  const nextIds = async (sort: 'create' | 'update' = 'create', exclude: string[] = []): Promise<string[]> =>
    (await next(sort, exclude)).map(({ interaction_id: id }) => id);

  describe('that takes commands in', () => {
    it('stores each once, and tells which were new', async () => {
      expect(await takeIn(command('a', 'call-1'), command('b', 'call-1', { kind: 'addComment' }))).toEqual(['a', 'b']);
      expect(
        await takeIn(command('b', 'call-1', { kind: 'addComment', body: 'other' }), command('c', 'call-2')),
      ).toEqual(['c']);
      expect(await rows(`SELECT action->>'body' AS body FROM write WHERE command_id = 'b'`)).toEqual([
        { body: 'text' },
      ]);
    });

    it('keeps one ticket command per interaction', async () => {
      await takeIn(command('a', 'call-1'));
      expect(await takeIn(command('other', 'call-1'))).toEqual([]);
    });

    it('completes what is known of the interaction, and forgets nothing of it', async () => {
      await takeIn(command('b', 'call-1', { kind: 'addComment' }));
      await takeIn(command('a', 'call-1', { contact: { ...NOBODY, phone: '+491' } }));
      await takeIn(command('c', 'call-1', { kind: 'addComment' }));
      expect(await rows('SELECT contact_key, waiting FROM interaction')).toEqual([
        { contact_key: 'phone:+491', waiting: 3 },
      ]);
    });
  });

  describe('that guards the states of a write', () => {
    it.each(UNDER_A_GRANT)('lets none be %s without a grant', async (state) => {
      await takeIn(command('a', 'call-1'));
      const final = state === 'done' ? ', ticket_id = 1, final_at = now()' : '';
      await expect(pool.query(`UPDATE write SET state = '${state}'${final}`)).rejects.toThrow(
        'leaves_waiting_only_with_grant',
      );
    });

    it('lets none wait with a grant, and none be parked without a reason', async () => {
      await takeIn(command('a', 'call-1'));
      await expect(pool.query(`UPDATE write SET grant_id = 'g'`)).rejects.toThrow('waiting_holds_no_grant');
      await expect(pool.query(`UPDATE write SET state = 'parked', final_at = now()`)).rejects.toThrow(
        'parked_says_why',
      );
      await expect(pool.query(`UPDATE write SET state = 'lapsed', reason_code = 'x'`)).rejects.toThrow(
        'final_has_time',
      );
    });

    it('lets an interaction be in one call at a time', async () => {
      await takeIn(command('a', 'call-1'), command('b', 'call-1', { kind: 'addComment' }));
      await claim('k1', [item('call-1', ['a'])]);
      await expect(claim('k2', [item('call-1', ['b'])])).rejects.toThrow('toBe');
      expect(await rows(`SELECT state FROM write WHERE command_id = 'b'`)).toEqual([{ state: 'waiting' }]);
    });
  });

  describe('that chooses what goes next', () => {
    it('goes by priority, then age, and counts tickets to make and to change apart', async () => {
      await takeIn(
        command('a', 'call-1', { eventAt: 3 }),
        command('b', 'call-2', { eventAt: 2 }),
        command('c', 'call-3', { eventAt: 9, priority: 'live' }),
      );
      expect(await nextIds()).toEqual(['call-3', 'call-2', 'call-1']);
      await pool.query(`UPDATE interaction SET ticket_id = 7 WHERE interaction_id = 'call-1'`);
      expect(await nextIds()).toEqual(['call-3', 'call-2']);
      expect(await nextIds('update')).toEqual(['call-1']);
      expect(await run((tx) => countWaiting(tx, ACCOUNT))).toEqual({
        creates: 2,
        createsLive: 1,
        updates: 1,
        updatesLive: 0,
      });
    });

    it('leaves out what has no ticket command, what has something parked, what is to wait, and what is named', async () => {
      await takeIn(
        command('a', 'call-1', { kind: 'addComment' }),
        command('b', 'call-2'),
        command('c', 'call-3'),
        command('d', 'call-4'),
      );
      await pool.query(
        `UPDATE interaction SET not_before = clock_timestamp() + interval '1 hour' WHERE interaction_id = 'call-2'`,
      );
      await pool.query(`UPDATE write SET state = 'parked', reason_code = 'x', final_at = now() WHERE command_id = 'c'`);
      await takeIn(command('e', 'call-3', { kind: 'addComment' }));
      expect(await nextIds()).toEqual(['call-4']);
      expect(await nextIds('create', ['call-4'])).toEqual([]);
    });

    it('leaves out whose contact or ticket another call is busy with, and whose contact is to wait', async () => {
      const contact = { ...NOBODY, phone: '+491' };
      await takeIn(
        command('a', 'call-1', { contact }),
        command('b', 'call-2', { contact }),
        command('c', 'call-3', { contact: { ...NOBODY, phone: '+492' } }),
      );
      expect(await nextIds('create', ['phone:+492'])).toEqual(['call-1', 'call-2']);
      await claim('k1', [item('call-1', ['a'])]);
      expect(await nextIds()).toEqual(['call-3']);
      await run((tx) =>
        saveContact(tx, ACCOUNT, looked(['phone:+492'], { is: 'step', step: 'create', inMs: 60_000, attempts: 1 })),
      );
      expect(await nextIds()).toEqual([]);
      await apply('k1', [done(0, 'call-1', 7)]);
      await pool.query(`UPDATE interaction SET ticket_id = 7 WHERE interaction_id = 'call-2'`);
      await takeIn(command('d', 'call-1', { kind: 'addComment' }));
      expect(await nextIds('update')).toEqual(['call-1', 'call-2']);
      expect(await nextIds('update', ['ticket:7'])).toEqual([]);
    });

    it('finds the newest open ticket of the same contact and queue to append to', async () => {
      const given = { contact: { ...NOBODY, phone: '+491' }, mode: 'append' } as const;
      await takeIn(command('a', 'call-1', given), command('b', 'call-2', given), command('c', 'call-3', given));
      await pool.query(`UPDATE interaction SET ticket_id = 7 WHERE interaction_id = 'call-1'`);
      await pool.query(`UPDATE interaction SET ticket_id = 8 WHERE interaction_id = 'call-2'`);
      expect((await next())[0]).toMatchObject({ interaction_id: 'call-3', append_to: 8, subject: 's', mode: 'append' });
      await pool.query(`UPDATE interaction SET ticket_open = false WHERE interaction_id = 'call-2'`);
      expect((await next())[0]).toMatchObject({ append_to: 7 });
    });

    it('reads each interaction’s commands in order, within bounds', async () => {
      const long = 'x'.repeat(MAX_BYTES_PER_INTERACTION / 2);
      await takeIn(
        command('c', 'call-1', { kind: 'addComment', eventAt: 2, body: long }),
        command('b', 'call-1', { kind: 'addComment', eventAt: 1, body: long }),
        command('a', 'call-1', { eventAt: 9 }),
        command('d', 'call-2', { body: long + long + long }),
      );
      const found = await run((tx) => selectWaitingWrites(tx, ACCOUNT, ['call-1', 'call-2'], 10));
      expect(found.map(({ command_id: id }) => id)).toEqual(['a', 'b', 'd']);
      expect(await run((tx) => selectWaitingWrites(tx, ACCOUNT, ['call-1'], 1))).toHaveLength(1);
    });
  });

  describe('that stores what came of a call', () => {
    it('finishes writes with their ticket, and frees the interaction', async () => {
      await takeIn(command('a', 'call-1'), command('b', 'call-1', { kind: 'addComment' }));
      await claim('k1', [item('call-1', ['a', 'b'])]);
      const settled = await apply('k1', [done(0, 'call-1', 7)]);
      expect(settled.toSorted((a, b) => (a.command_id < b.command_id ? -1 : 1))).toMatchObject([
        { command_id: 'a', state: 'done', ticket_id: 7, grant_id: 'grant of k1', merged_with: 2 },
        { command_id: 'b', state: 'done' },
      ]);
      expect(await rows('SELECT ticket_id, busy_call_id, waiting FROM interaction')).toEqual([
        { ticket_id: 7, busy_call_id: null, waiting: 0 },
      ]);
      expect(await rows('SELECT state, status FROM call')).toEqual([{ state: 'closed', status: 201 }]);
    });

    it('takes the grant from what goes back to wait', async () => {
      await takeIn(command('a', 'call-1'));
      await claim('k1', [item('call-1', ['a'])]);
      await apply('k1', [
        {
          index: 0,
          interactionId: 'call-1',
          effect: { effect: 'waiting', inMs: 60_000, attempts: 2, solo: true, code: 'x' },
        },
      ]);
      expect(await rows('SELECT state, grant_id, call_id, attempts FROM write')).toEqual([
        { state: 'waiting', grant_id: null, call_id: null, attempts: 2 },
      ]);
      expect(await rows('SELECT solo, not_before > clock_timestamp() AS waits FROM interaction')).toEqual([
        { solo: true, waits: true },
      ]);
    });

    it('leaves the ticket that is closed, for all who would append to it', async () => {
      await takeIn(command('a', 'call-1'), command('b', 'call-2'));
      await pool.query('UPDATE interaction SET ticket_id = 7');
      await claim('k1', [item('call-1', ['a'], { ticketId: 7, knownTicketId: 7 })]);
      await run((tx) => closeTickets(tx, ACCOUNT, 'k1', [0]));
      await apply('k1', [{ index: 0, interactionId: 'call-1', effect: { effect: 'followUp' } }]);
      expect(
        await rows('SELECT interaction_id, ticket_id, follow_up_of, ticket_open FROM interaction ORDER BY 1'),
      ).toEqual([
        { interaction_id: 'call-1', ticket_id: null, follow_up_of: 7, ticket_open: false },
        { interaction_id: 'call-2', ticket_id: 7, follow_up_of: null, ticket_open: false },
      ]);
    });

    it('keeps a call open while one of its items is unknown, and the interaction busy', async () => {
      await takeIn(command('a', 'call-1'), command('b', 'call-2'));
      await claim('k1', [item('call-1', ['a']), item('call-2', ['b'])], { batch: true });
      await apply('k1', [
        done(0, 'call-1', 7),
        { index: 1, interactionId: 'call-2', effect: { effect: 'unknown', code: 'x', askInMs: 0, own: true } },
      ]);
      expect(await rows('SELECT state FROM call')).toEqual([{ state: 'unknown' }]);
      expect(await rows(`SELECT busy_call_id FROM interaction WHERE interaction_id = 'call-2'`)).toEqual([
        { busy_call_id: 'k1' },
      ]);
      expect(await run((tx) => selectItems(tx, 'k1'))).toMatchObject([
        { index: 1, interactionId: 'call-2', commands: 1 },
      ]);
      expect(await run((tx) => selectItemsToAsk(tx, ACCOUNT, 10, []))).toMatchObject([
        { index: 1, own: true, single: false },
      ]);
      await apply('k1', [done(1, 'call-2', 8)]);
      expect(await rows('SELECT state FROM call')).toEqual([{ state: 'closed' }]);
    });

    it('records an attempt once', async () => {
      await takeIn(command('a', 'call-1'));
      await claim('k1', [item('call-1', ['a'])]);
      expect(await run((tx) => lockCall(tx, 'k1', 1))).toEqual({ grant_id: 'grant of k1', writer: 'single' });
      expect(await run((tx) => lockCall(tx, 'k1', 2))).toBeNull();
      await apply('k1', [done(0, 'call-1', 7)]);
      expect(await run((tx) => lockCall(tx, 'k1', 1))).toBeNull();
    });

    it('announces each command’s end once, until it is published', async () => {
      const outcome = outcomeOf(
        {
          commandId: 'a',
          account: ACCOUNT,
          interactionId: 'call-1',
          kind: 'ensureTicket',
          eventAt: 1,
          traceparent: null,
          state: 'done',
          ticketId: 7,
          grantId: 'g',
          writer: 'single',
          mergedWith: 1,
          reason: null,
        },
        5,
      );
      await run((tx) => insertOutcomes(tx, [outcome]));
      await run((tx) => insertOutcomes(tx, [outcome]));
      const taken = await run((tx) => takeOutbox(tx, 10));
      expect(taken).toMatchObject([{ subject: 'outcomes.v1.acme.call-1.ensureTicket', msgId: 'acme.outcome-a' }]);
      await run((tx) =>
        deleteOutbox(
          tx,
          taken.map(({ id }) => id),
        ),
      );
      expect(await run((tx) => takeOutbox(tx, 10))).toEqual([]);
    });
  });

  describe('that finds out what got lost', () => {
    it('takes calls for unknown that nobody waits for', async () => {
      await takeIn(command('a', 'call-1'), command('b', 'call-2'));
      await claim('k1', [item('call-1', ['a'])]);
      await claim('k2', [item('call-2', ['b'])]);
      expect(await run((tx) => abandonSent(tx, ACCOUNT, ['k2']))).toBe(1);
      expect(await rows('SELECT call_id, state FROM call ORDER BY 1')).toEqual([
        { call_id: 'k1', state: 'unknown' },
        { call_id: 'k2', state: 'sent' },
      ]);
      expect(await run((tx) => selectItemsToAsk(tx, ACCOUNT, 10, []))).toMatchObject([
        { callId: 'k1', commandIds: ['a'], externalId: 'p-call-1', own: false, single: true, hasComment: true },
      ]);
      expect(await run((tx) => selectItemsToAsk(tx, ACCOUNT, 10, ['call-1']))).toEqual([]);
    });

    it('asks about none while the call may be under way', async () => {
      await takeIn(command('a', 'call-1'));
      await claim('k1', [item('call-1', ['a'])], { underWayForMs: 60_000 });
      await run((tx) => abandonSent(tx, ACCOUNT, []));
      expect(await run((tx) => selectItemsToAsk(tx, ACCOUNT, 10, []))).toEqual([]);
      const due = await run((tx) => nextDue(tx, ACCOUNT));
      expect(due.itemInMs).toBeGreaterThan(55_000);
    });

    it('asks again later, with the page it had come to', async () => {
      await takeIn(command('a', 'call-1'));
      await claim('k1', [item('call-1', ['a'])]);
      await run((tx) => abandonSent(tx, ACCOUNT, []));
      await run((tx) => askItemAgain(tx, 'k1', 0, { cursor: '?page=2', inMs: 0, counted: true }));
      await run((tx) => askItemAgain(tx, 'k1', 0, { cursor: '?page=2', inMs: 0, counted: false }));
      expect(await run((tx) => selectItemsToAsk(tx, ACCOUNT, 10, []))).toMatchObject([{ asks: 1, cursor: '?page=2' }]);
    });

    it('sends a call’s bytes again under a new grant, once', async () => {
      await takeIn(command('a', 'call-1'));
      await claim('k1', [item('call-1', ['a'])]);
      await run((tx) => abandonSent(tx, ACCOUNT, []));
      await run((tx) => answerCall(tx, { callId: 'k1', answer: null, next: { to: 'again', inMs: 0 } }));
      const [again] = await run((tx) => selectCallsAgain(tx, ACCOUNT, 10, []));
      expect(again).toMatchObject({
        callId: 'k1',
        sends: 1,
        idempotencyKey: 'k1',
        interactionId: 'call-1',
        commands: 1,
      });
      expect(again!.body!.toString()).toBe('bytes');
      const resend = { callId: 'k1', sends: 1, grantId: 'g2', underWayForMs: 0 };
      expect(await run((tx) => resendCall(tx, resend))).toBe(true);
      expect(await run((tx) => resendCall(tx, resend))).toBe(false);
      expect(await rows('SELECT state, grant_id FROM write')).toEqual([{ state: 'sent', grant_id: 'g2' }]);
      expect(await rows('SELECT state, sends FROM call')).toEqual([{ state: 'sent', sends: 2 }]);
    });

    it('reads the job list for bulk calls before it asks about their items', async () => {
      await takeIn(command('a', 'call-1'));
      await claim('k1', [item('call-1', ['a'])], { batch: true });
      await run((tx) => abandonSent(tx, ACCOUNT, []));
      expect(await run((tx) => selectItemsToAsk(tx, ACCOUNT, 10, []))).toEqual([]);
      expect(await run((tx) => selectBulksToList(tx, ACCOUNT, 10))).toEqual([
        { callId: 'k1', sends: 1, priority: 'normal', asks: 0, suspects: null },
      ]);
      await run((tx) => settleJobLists(tx, ['k1'], { settled: false, suspects: ['V3-1'], inMs: 0 }));
      await run((tx) => settleJobLists(tx, ['k1'], { settled: false, suspects: ['V3-2'], inMs: 0 }));
      expect(await run((tx) => selectBulksToList(tx, ACCOUNT, 10))).toMatchObject([{ asks: 2, suspects: ['V3-1'] }]);
      await run((tx) => settleJobLists(tx, ['k1'], { settled: true, suspects: null, inMs: 0 }));
      expect(await run((tx) => selectBulksToList(tx, ACCOUNT, 10))).toEqual([]);
      expect(await run((tx) => selectItemsToAsk(tx, ACCOUNT, 10, []))).toHaveLength(1);
    });
  });

  describe('that follows a job', () => {
    it('is due when its time comes, until it is over', async () => {
      await takeIn(command('a', 'call-1'));
      await claim('k1', [item('call-1', ['a'])], { batch: true, holdIds: ['h1'] });
      await run(async (tx) => {
        await insertJob(tx, { account: ACCOUNT, callId: 'k1', jobId: 'V3-1', total: 1, pollInMs: 60_000 });
        await answerCall(tx, { callId: 'k1', answer: null, next: { to: 'job', jobId: 'V3-1', total: 1, pollInMs: 0 } });
      });
      expect(await run((tx) => selectJobs(tx, ACCOUNT, 10))).toMatchObject([{ job_id: 'V3-1', due: false, polls: 0 }]);
      await run((tx) => rescheduleJobs(tx, ACCOUNT, [{ jobId: 'V3-1', inMs: -1, missed: true }]));
      expect(await run((tx) => selectJobs(tx, ACCOUNT, 10))).toMatchObject([{ due: true, polls: 1, misses: 1 }]);
      expect((await run((tx) => nextDue(tx, ACCOUNT))).jobInMs).toBeLessThanOrEqual(0);
      expect(await run((tx) => selectHolds(tx, ACCOUNT, 10))).toEqual([]);
      await run((tx) => endJob(tx, 'k1'));
      await apply('k1', [done(0, 'call-1', 7)]);
      expect(await run((tx) => selectJobs(tx, ACCOUNT, 10))).toEqual([]);
      expect(await run((tx) => selectHolds(tx, ACCOUNT, 10))).toEqual([{ callId: 'k1', holdIds: ['h1'] }]);
      expect((await run((tx) => nextDue(tx, ACCOUNT))).holds).toBe(true);
      await run((tx) => markHoldsReleased(tx, ['k1']));
      expect((await run((tx) => nextDue(tx, ACCOUNT))).holds).toBe(false);
    });
  });

  describe('that ends writes unsent', () => {
    it('lets those lapse whose time has passed, and no others', async () => {
      await takeIn(
        command('a', 'call-1', { notAfter: 1 }),
        command('b', 'call-2', { notAfter: 4_000_000_000_000 }),
        command('c', 'call-3'),
      );
      expect((await run((tx) => nextDue(tx, ACCOUNT))).lapseInMs).toBeLessThan(0);
      expect(await run((tx) => selectLapsing(tx, ACCOUNT))).toEqual(['call-1']);
      expect(await run((tx) => lapseWrites(tx, ACCOUNT, ['call-1', 'call-2', 'call-3']))).toMatchObject([
        { command_id: 'a', reason_code: 'not_after_passed' },
      ]);
      expect(await run((tx) => selectLapsing(tx, ACCOUNT))).toEqual([]);
    });

    it('parks a ticket command whose contact is refused', async () => {
      await takeIn(command('a', 'call-1'), command('b', 'call-1', { kind: 'addComment' }));
      const parked = await run((tx) =>
        parkTicketCommand(tx, ACCOUNT, 'call-1', { code: 'contact_invalid', text: 't' }),
      );
      expect(parked).toMatchObject([{ command_id: 'a' }]);
      await run((tx) => refreshInteractions(tx, ACCOUNT, ['call-1']));
      expect(await nextIds()).toEqual([]);
    });
  });

  describe('that remembers contacts', () => {
    const callFor = (tx: Tx, callId: string): Promise<void> =>
      insertCall(tx, {
        callId,
        account: ACCOUNT,
        kind: 'users.create',
        writer: 'contact',
        priority: 'live',
        grantId: 'g',
        holdIds: [],
        request: { method: 'POST', path: '/x', body: null, idempotencyKey: null },
        contactKeys: ['phone:+491'],
        underWayForMs: -1,
      });

    it('gives a contact to one call at a time, and frees it when that can’t be under way any more', async () => {
      const keys = ['phone:+491', 'user:u'];
      await run(async (tx) => {
        await callFor(tx, 'k1');
        expect(await occupyContacts(tx, ACCOUNT, 'k1', keys, 'create')).toBe(2);
        await callFor(tx, 'k2');
        expect(await occupyContacts(tx, ACCOUNT, 'k2', keys, 'create')).toBe(0);
        await countContactAttempts(tx, ACCOUNT, keys, 3);
      });
      expect(await run((tx) => selectContacts(tx, ACCOUNT, keys))).toMatchObject([
        { busy: true, step: 'create', attempts: 3 },
        { busy: true },
      ]);
      await run((tx) => abandonSent(tx, ACCOUNT, ['k2']));
      expect((await run((tx) => nextDue(tx, ACCOUNT))).contactCallInMs).toBeLessThanOrEqual(0);
      expect(await run((tx) => freeContacts(tx, ACCOUNT))).toBe(1);
      expect(await run((tx) => selectContacts(tx, ACCOUNT, keys))).toMatchObject([{ busy: false }, { busy: false }]);
    });

    it('never forgets a known one', async () => {
      await run((tx) => saveContact(tx, ACCOUNT, looked(['phone:+491'], { is: 'known', userId: 5 })));
      await run((tx) => saveContact(tx, ACCOUNT, looked(['phone:+491'], { is: 'refused', code: 'x', text: 'y' })));
      expect(await run((tx) => selectContacts(tx, ACCOUNT, ['phone:+491']))).toMatchObject([
        { user_id: 5, step: null, busy: false },
      ]);
    });

    it('keeps no key of a contact in a call that was forgotten', async () => {
      await run((tx) => callFor(tx, 'k1'));
      await pool.query(`UPDATE call SET state = 'closed', closed_at = clock_timestamp(), body = 'b'`);
      expect(await run((tx) => forgetSent(tx, -1))).toBe(1);
      expect(await rows('SELECT contact_keys FROM call')).toEqual([{ contact_keys: [] }]);
    });

    it('lets a refusal hold for a while only', async () => {
      const keys = ['phone:+491'];
      const refused = { is: 'refused', code: 'x', text: 'y' } as const;
      await run((tx) => saveContact(tx, ACCOUNT, { ...looked(keys, refused), expiresInMs: 60_000 }));
      expect(await run((tx) => selectContacts(tx, ACCOUNT, keys))).toMatchObject([
        { step: 'refused', refused_for: 'x', busy: false },
      ]);
      await pool.query(`UPDATE contact SET not_before = '-infinity'`);
      expect(await run((tx) => selectContacts(tx, ACCOUNT, keys))).toMatchObject([
        { step: null, refused_for: null, busy: false },
      ]);
      await run((tx) => saveContact(tx, ACCOUNT, looked(keys, { is: 'known', userId: 5 })));
      expect(await run((tx) => selectContacts(tx, ACCOUNT, keys))).toMatchObject([{ user_id: 5, step: null }]);
    });

    it('lets a late answer change nothing that has gone on', async () => {
      const keys = ['phone:+491'];
      await run(async (tx) => {
        await callFor(tx, 'k1');
        await occupyContacts(tx, ACCOUNT, 'k1', keys, 'create');
      });
      const late = looked(keys, { is: 'step', step: 'create', inMs: 0, attempts: 0 });
      await run((tx) => saveContact(tx, ACCOUNT, late));
      expect(await run((tx) => selectContacts(tx, ACCOUNT, keys))).toMatchObject([{ busy: true }]);
      const taken = { is: 'step', step: 'adopt', inMs: 0, attempts: 0 } as const;
      await run((tx) => saveContact(tx, ACCOUNT, { ...looked(keys, taken), callId: 'k1', step: 'create' }));
      await run((tx) => saveContact(tx, ACCOUNT, late));
      expect(await run((tx) => selectContacts(tx, ACCOUNT, keys))).toMatchObject([{ busy: false, step: 'adopt' }]);
    });

    it('knows a contact under all its keys once a ticket is made for it', async () => {
      const keys = ['phone:+491', 'user:u'];
      await run((tx) => saveContact(tx, ACCOUNT, looked(['user:u'], { is: 'known', userId: 5 })));
      const known = item('call-1', ['a'], { requester: { by: 'userId', userId: 5 }, contactKeys: keys });
      await run((tx) => rememberContacts(tx, ACCOUNT, [known, known]));
      expect(await run((tx) => selectContacts(tx, ACCOUNT, keys))).toMatchObject([{ user_id: 5 }, { user_id: 5 }]);
    });
  });

  describe('that tells how things stand', () => {
    it('counts writes by state and calls by kind', async () => {
      await takeIn(command('a', 'call-1', { eventAt: 5 }), command('b', 'call-2', { eventAt: 6 }));
      await claim('k1', [item('call-1', ['a'])]);
      await apply('k1', [done(0, 'call-1', 7)]);
      await run((tx) => addRead(tx, ACCOUNT, 'jobs.show'));
      await run((tx) => addRead(tx, ACCOUNT, 'jobs.show'));
      expect(await run((tx) => selectCounts(tx, ACCOUNT))).toEqual({
        states: { done: 1, waiting: 1 },
        oldest_waiting_at: 6,
        calls: { 'tickets.create': 1, 'jobs.show': 2 },
        jobs_running: 0,
        outbox: 0,
      });
    });

    it('shows an interaction with its commands in order', async () => {
      await takeIn(command('b', 'call-1', { kind: 'addComment', eventAt: 1 }), command('a', 'call-1', { eventAt: 2 }));
      const shown = await run((tx) => selectInteraction(tx, ACCOUNT, 'call-1'));
      expect(shown!.commands.map(({ commandId, state }) => [commandId, state])).toEqual([
        ['a', 'waiting'],
        ['b', 'waiting'],
      ]);
      expect(await run((tx) => selectInteraction(tx, ACCOUNT, 'call-9'))).toBeNull();
    });
  });

  describe('that forgets', () => {
    it('takes the texts out of what was done long ago, and leaves what keeps it from being done again', async () => {
      await takeIn(command('a', 'call-1'), command('b', 'call-2'));
      await claim('k1', [item('call-1', ['a'])]);
      await apply('k1', [done(0, 'call-1', 7)]);
      expect(await run((tx) => forgetSent(tx, 60_000))).toBe(0);
      expect(await run((tx) => forgetSent(tx, -1))).toBe(2);
      expect(await run((tx) => forgetSent(tx, -1))).toBe(0);
      expect(await rows(`SELECT action, ticket_id FROM write WHERE command_id = 'a'`)).toEqual([
        { action: { kind: 'ensureTicket', forgotten: true }, ticket_id: 7 },
      ]);
      expect(await rows('SELECT body, response FROM call')).toEqual([{ body: null, response: null }]);
      expect(await takeIn(command('a', 'call-1'))).toEqual([]);
    });
  });
});
