import type { Tx } from '#postgres';

/**
 * Calls for contacts that were left without an answer and can no longer be under way: closed, and their contacts free to be
 * made again, which the user's unique external id makes harmless. How many calls.
 */
export async function freeContacts(tx: Tx, account: string): Promise<number> {
  const calls = await tx.query(
    `WITH over AS (
       UPDATE call SET state = 'closed', closed_at = clock_timestamp(), ask_at = NULL
       WHERE account = $1 AND state = 'unknown' AND writer = 'contact' AND ask_at <= clock_timestamp()
       RETURNING call_id),
     freed AS (
       UPDATE contact SET busy_call_id = NULL FROM over WHERE contact.busy_call_id = over.call_id RETURNING 1)
     SELECT call_id FROM over`,
    [account],
  );
  return calls.length;
}
