import type { Tx } from '#postgres';
import type { ContactRecord } from '../write.store.js';

/** Remembers under all of a contact's keys what is known of it now, and gives them free. A known user is never forgotten. */
export async function saveContact(
  tx: Tx,
  account: string,
  keys: readonly string[],
  becomes: Exclude<ContactRecord['becomes'], { is: 'unknown' }>,
): Promise<void> {
  const row =
    becomes.is === 'known'
      ? { userId: becomes.userId, step: null, refusedFor: null, inMs: 0, attempts: 0 }
      : becomes.is === 'step'
        ? { userId: null, step: becomes.step, refusedFor: null, inMs: becomes.inMs, attempts: becomes.attempts }
        : { userId: null, step: 'refused', refusedFor: becomes.code, inMs: 0, attempts: 0 };
  await tx.query(
    `INSERT INTO contact AS c (account, key, user_id, step, refused_for, not_before, attempts)
     SELECT $1, key, $3, $4, $5, clock_timestamp() + $6 * interval '1 millisecond', $7
     FROM unnest($2::text[]) AS key ORDER BY key
     ON CONFLICT (account, key) DO UPDATE
       SET user_id = coalesce(excluded.user_id, c.user_id),
           step = CASE WHEN c.user_id IS NULL THEN excluded.step END,
           refused_for = CASE WHEN c.user_id IS NULL THEN excluded.refused_for END,
           not_before = excluded.not_before, attempts = excluded.attempts, busy_call_id = NULL`,
    [account, keys, row.userId, row.step, row.refusedFor, row.inMs, row.attempts],
  );
}
