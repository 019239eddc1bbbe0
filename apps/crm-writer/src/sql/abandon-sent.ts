import type { Tx } from '#postgres';

/**
 * Calls stored as sent that nobody waits for (all but `except`): unknown, and asked about once they can no longer be
 * under way. Their items and writes with them. How many calls.
 */
export async function abandonSent(tx: Tx, account: string, except: readonly string[]): Promise<number> {
  const calls = await tx.query(
    `WITH abandoned AS (
       UPDATE call SET state = 'unknown', ask_at = under_way_until
       WHERE account = $1 AND state = 'sent' AND NOT (call_id = ANY($2::text[]))
       RETURNING call_id, under_way_until),
     items AS (
       UPDATE item SET state = 'unknown', code = 'writer_gone', ask_at = a.under_way_until
       FROM abandoned a WHERE item.call_id = a.call_id AND item.state = 'sent'
       RETURNING 1),
     writes AS (
       UPDATE write SET state = 'unknown', reason_code = 'writer_gone'
       FROM abandoned a WHERE write.call_id = a.call_id AND write.state = 'sent'
       RETURNING 1)
     SELECT call_id FROM abandoned`,
    [account, except],
  );
  return calls.length;
}
