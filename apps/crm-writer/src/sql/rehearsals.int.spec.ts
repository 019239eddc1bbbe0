import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Command } from '#contracts';
import type { Tx } from '#postgres';
import { comment, ticket } from '../../test/commands.js';
import { type WriterDatabase, writerDatabase } from '../../test/writer-database.js';
import { addRehearsedCalls } from './add-rehearsed-calls.js';
import { endRehearsed } from './end-rehearsed.js';
import { forgetSent } from './forget-sent.js';
import { selectRehearsedCalls } from './select-rehearsed-calls.js';
import { selectToRehearse } from './select-to-rehearse.js';
import { selectWritesToPlan } from './select-writes-to-plan.js';
import { takeUpRehearsed } from './take-up-rehearsed.js';

describe('a statement about a dry run', () => {
  let database: WriterDatabase;
  const tx: Tx = {
    query: async <R>(sql: string, params: readonly unknown[] = []) =>
      (await database.pool.query(sql, [...params])).rows as R[],
  };
  const dry = (one: Command): Command => ({ ...one, data: { ...one.data, dryRun: true } });

  beforeAll(async () => {
    database = await writerDatabase('rehearsal statements spec', 2);
  });

  afterAll(async () => {
    await database?.drop();
  });

  beforeEach(() => database.empty());

  it('finds what is to be planned, what goes first before, and what has no ticket yet not at all', async () => {
    const first = dry(ticket('call-1'));
    const urgent = dry(ticket('call-2'));
    const slow = dry(comment('call-1', 'later', true));
    await database.store.takeIn([
      { ...slow, data: { ...slow.data, priority: 'backlog' } },
      first,
      urgent,
      dry(comment('call-3', 'early')),
    ]);
    const rows = await selectToRehearse(tx, 'acme', 10);
    expect(rows).toMatchObject([
      { interaction_id: 'call-1', ticket_promised: false, subject: 'about call-1', mode: 'new' },
      { interaction_id: 'call-2', ticket_promised: false },
    ]);
    expect(await selectToRehearse(tx, 'acme', 1)).toHaveLength(1);
    expect(await selectToRehearse(tx, 'other', 10)).toEqual([]);
    const writes = await selectWritesToPlan(tx, 'acme', ['call-1', 'call-2'], 10);
    expect(writes.map(({ interaction_id: id, action }) => `${id} ${action.kind}`)).toEqual([
      'call-1 ensureTicket',
      'call-1 addComment',
      'call-2 ensureTicket',
    ]);
    expect(await selectWritesToPlan(tx, 'acme', ['call-1'], 1)).toHaveLength(1);
    expect(await endRehearsed(tx, [urgent.id])).toMatchObject([{ interaction_id: 'call-2', kind: 'ensureTicket' }]);
    expect(await endRehearsed(tx, [urgent.id])).toEqual([]);
    await database.store.takeIn([dry(comment('call-2', 'after'))]);
    expect(await selectToRehearse(tx, 'acme', 10)).toMatchObject([
      { interaction_id: 'call-1' },
      { interaction_id: 'call-2', ticket_promised: true },
    ]);
  });

  it('counts calls, and tells since when', async () => {
    const calls = [
      { kind: 'tickets.create', calls: 2, tickets: 2 },
      { kind: 'users.search', calls: 1, tickets: 0 },
    ] as const;
    await addRehearsedCalls(tx, 'acme', calls);
    await addRehearsedCalls(tx, 'acme', calls.slice(0, 1));
    expect(await selectRehearsedCalls(tx, 'acme')).toEqual([
      { kind: 'tickets.create', calls: 4, tickets: 4, since: expect.any(Number) },
      { kind: 'users.search', calls: 1, tickets: 0, since: expect.any(Number) },
    ]);
    expect(await selectRehearsedCalls(tx, 'other')).toEqual([]);
  });

  it('lets no call carry a rehearsed command, and no waiting one be planned without', async () => {
    await database.store.takeIn([dry(ticket('call-1')), ticket('call-2')]);
    await expect(database.sql(`UPDATE write SET grant_id = 'g' WHERE state = 'rehearsed'`)).rejects.toThrow(
      'rehearsed_has_no_call',
    );
    await expect(database.sql(`UPDATE write SET to_plan = true WHERE state = 'waiting'`)).rejects.toThrow(
      'planned_without_calls',
    );
  });

  it('forgets the text, and takes up with the text that comes again', async () => {
    const opening = ticket('call-1', { subject: 'as before' });
    await database.store.takeIn([dry(opening)]);
    await database.sql(`UPDATE write SET final_at = now() - interval '1 hour'`);
    expect(await forgetSent(tx, 60_000)).toBe(1);
    const later = comment('call-1', 'after it');
    expect(await takeUpRehearsed(tx, [later])).toBe(0);
    expect(await takeUpRehearsed(tx, [dry(opening)])).toBe(0);
    expect(await takeUpRehearsed(tx, [opening, later])).toBe(1);
    expect(await takeUpRehearsed(tx, [opening])).toBe(0);
    expect(await database.sql(`SELECT state, redriven, to_plan, action->>'subject' AS subject FROM write`)).toEqual([
      { state: 'waiting', redriven: 1, to_plan: false, subject: 'as before' },
    ]);
  });
});
