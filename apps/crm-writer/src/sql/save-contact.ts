import type { Tx } from '#postgres';
import type { ContactRecord } from '../write.store.js';

export interface ContactSaved extends Pick<ContactRecord, 'keys' | 'step' | 'expiresInMs'> {
  /** The call that holds the contact; null for a look-up, which holds nothing. */
  readonly callId: string | null;
  readonly becomes: Exclude<ContactRecord['becomes'], { is: 'unknown' }>;
}

/**
 * Remembers under all of a contact's keys what is known of it now, and gives them free. A known user is never forgotten, and an answer
 * that comes late changes nothing where another call holds the contact or its next step is another by now.
 */
export async function saveContact(
  tx: Tx,
  account: string,
  { callId, keys, step, expiresInMs, becomes }: ContactSaved,
): Promise<void> {
  const row =
    becomes.is === 'known'
      ? { userId: becomes.userId, step: null, refusedFor: null, inMs: 0, attempts: 0 }
      : becomes.is === 'step'
        ? { userId: null, step: becomes.step, refusedFor: null, inMs: becomes.inMs, attempts: becomes.attempts }
        : { userId: null, step: 'refused', refusedFor: becomes.code, inMs: expiresInMs, attempts: 0 };
  await tx.query(
    `INSERT INTO contact AS c (account, key, user_id, step, refused_for, not_before, attempts)
     SELECT $1, key, $3::bigint, $4, $5, clock_timestamp() + $6 * interval '1 millisecond', $7
     FROM unnest($2::text[]) AS key ORDER BY key
     ON CONFLICT (account, key) DO UPDATE
       SET user_id = excluded.user_id, step = excluded.step, refused_for = excluded.refused_for,
           not_before = excluded.not_before, attempts = excluded.attempts, busy_call_id = NULL
       WHERE c.user_id IS NULL AND c.busy_call_id IS NOT DISTINCT FROM $8
         AND ($3::bigint IS NOT NULL OR c.step = $9 OR (c.step = 'refused' AND c.not_before <= clock_timestamp()))`,
    [account, keys, row.userId, row.step, row.refusedFor, row.inMs, row.attempts, callId, step],
  );
}
