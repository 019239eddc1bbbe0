import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Tx } from '#postgres';
import { type WriterDatabase, writerDatabase } from '../../test/writer-database.js';
import { PARKED_IN_DOUBT } from '../parked.writes.js';
import { forgetRefusals } from './forget-refusals.js';
import { longestParked } from './longest-parked.js';
import { redriveParked } from './redrive-parked.js';
import { reopenParked } from './reopen-parked.js';
import { ANSWER_BYTES_SHOWN, selectParked } from './select-parked.js';

describe('a statement about parked writes', () => {
  let database: WriterDatabase;
  const tx: Tx = {
    query: async <R>(sql: string, params: readonly unknown[] = []) =>
      (await database.pool.query(sql, [...params])).rows as R[],
  };

  beforeAll(async () => {
    database = await writerDatabase('parked statements spec', 2);
  });

  afterAll(async () => {
    await database?.drop();
  });

  beforeEach(async () => {
    await database.empty();
    await database.sql(
      `INSERT INTO call (call_id, account, kind, writer, priority, state, grant_id, method, path, under_way_until, closed_at,
                         jobs_settled, status, response)
       VALUES ('k1', 'acme', 'tickets.create', 'single', 0, 'closed', 'g1', 'POST', '/', now(), now(), true, 422, $1)`,
      [Buffer.from('é'.repeat(ANSWER_BYTES_SHOWN))],
    );
  });

  async function parked(name: string, code: string, callId: string | null, minutesAgo = 1): Promise<void> {
    await database.sql(`INSERT INTO interaction (account, interaction_id) VALUES ('acme', $1)`, [name]);
    await database.sql(
      `INSERT INTO write (command_id, account, interaction_id, kind, action, event_at, event_rank, ordinal, priority, policy_version,
                          causation_id, state, grant_id, call_id, attempts, reason_code, reason_text, final_at)
       VALUES ($1, 'acme', $1, 'ensureTicket', '{"kind": "ensureTicket"}', 1, 0, 0, 0, 1, 'e', 'parked', 'g1', $2, 8, $3, 't',
               now() - $4 * interval '1 minute')`,
      [name, callId, code, minutesAgo],
    );
    if (callId)
      await database.sql(
        `INSERT INTO item (call_id, item_index, account, interaction_id, command_ids, external_id, has_comment, attempts, state, asks)
         VALUES ($1, $2, 'acme', $3, ARRAY[$3], 'x', true, 0, 'parked', 40)`,
        [callId, minutesAgo, name],
      );
  }

  const stands = () =>
    database.sql('SELECT command_id, state, grant_id, attempts, redriven, reason_code FROM write ORDER BY command_id');

  it('lists them, the longest parked first, with the beginning of the answer', async () => {
    await parked('young', 'crm_invalid', null, 1);
    await parked('old', 'undecided', 'k1', 60);
    const [first, second, ...others] = await selectParked(tx, 'acme', 10);
    expect(others).toEqual([]);
    expect(first).toMatchObject({ commandId: 'old', code: 'undecided', attempts: 8, status: 422 });
    expect(first!.answer).toHaveLength(ANSWER_BYTES_SHOWN);
    expect(second).toMatchObject({ commandId: 'young', status: null, answer: null });
    expect(await selectParked(tx, 'acme', 1)).toHaveLength(1);
    expect(await selectParked(tx, 'other', 10)).toEqual([]);
    expect(await longestParked(tx, 'acme')).toBeGreaterThanOrEqual(3_600_000);
    expect(await longestParked(tx, 'other')).toBeNull();
  });

  it('brings only what is in doubt back into doubt, once', async () => {
    await parked('doubted', 'undecided', 'k1');
    await parked('refused', 'crm_invalid', null);
    expect(await reopenParked(tx, 'acme', 'refused', PARKED_IN_DOUBT)).toBe(0);
    expect(await redriveParked(tx, 'acme', 'doubted', PARKED_IN_DOUBT)).toEqual([]);
    expect(await reopenParked(tx, 'acme', 'doubted', PARKED_IN_DOUBT)).toBe(1);
    expect(await reopenParked(tx, 'acme', 'doubted', PARKED_IN_DOUBT)).toBe(0);
    expect(await stands()).toMatchObject([{ state: 'unknown', grant_id: 'g1', redriven: 1 }, { state: 'parked' }]);
    expect(await database.sql('SELECT state, closed_at FROM call')).toEqual([{ state: 'unknown', closed_at: null }]);
    expect(await database.sql('SELECT state, asks FROM item')).toEqual([{ state: 'unknown', asks: 0 }]);
    expect(await database.sql('SELECT busy_call_id FROM interaction ORDER BY interaction_id')).toEqual([
      { busy_call_id: 'k1' },
      { busy_call_id: null },
    ]);
  });

  it('lets the others wait again without their grant, the reason kept', async () => {
    await parked('refused', 'crm_invalid', 'k1');
    expect(await redriveParked(tx, 'acme', 'refused', PARKED_IN_DOUBT)).toEqual([{ action: { kind: 'ensureTicket' } }]);
    expect(await redriveParked(tx, 'acme', 'refused', PARKED_IN_DOUBT)).toEqual([]);
    expect(await stands()).toMatchObject([
      { state: 'waiting', grant_id: null, attempts: 1, redriven: 1, reason_code: 'crm_invalid' },
    ]);
  });

  it('forgets refusals of contacts, and no contact that is known or on its way', async () => {
    await database.sql(
      `INSERT INTO contact (account, key, user_id, step, refused_for, busy_call_id) VALUES
         ('acme', 'a', NULL, 'refused', 'x', NULL), ('acme', 'b', 7, NULL, NULL, NULL), ('acme', 'c', NULL, 'create', NULL, 'k1'),
         ('acme', 'd', NULL, 'refused', 'x', NULL)`,
    );
    await forgetRefusals(tx, 'acme', ['a', 'b', 'c']);
    expect(await database.sql('SELECT key FROM contact ORDER BY key')).toEqual([
      { key: 'b' },
      { key: 'c' },
      { key: 'd' },
    ]);
  });
});
