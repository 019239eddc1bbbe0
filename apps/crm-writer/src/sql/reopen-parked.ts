import type { Tx } from '#postgres';

/**
 * Parked writes of an interaction that may have taken effect are in doubt again, with their item and call, and are asked for now. The
 * interaction is locked before. How many.
 */
export async function reopenParked(
  tx: Tx,
  account: string,
  interactionId: string,
  reasons: readonly string[],
): Promise<number> {
  const reopened = await tx.query(
    `WITH doubted AS (
       SELECT call_id FROM write
       WHERE account = $1 AND interaction_id = $2 AND state = 'parked' AND reason_code = ANY($3::text[]) AND call_id IS NOT NULL
       ORDER BY final_at LIMIT 1),
     items AS (
       UPDATE item SET state = 'unknown', own = false, asks = 0, cursor = NULL, ask_at = clock_timestamp()
       FROM doubted d, interaction i
       WHERE item.call_id = d.call_id AND item.interaction_id = $2 AND item.state = 'parked'
         AND i.account = $1 AND i.interaction_id = $2 AND i.busy_call_id IS NULL
       RETURNING item.call_id),
     calls AS (
       UPDATE call SET state = 'unknown', ask_at = clock_timestamp(), closed_at = NULL
       FROM items WHERE call.call_id = items.call_id AND call.state = 'closed' RETURNING 1),
     occupied AS (
       UPDATE interaction SET busy_call_id = items.call_id
       FROM items WHERE account = $1 AND interaction_id = $2 RETURNING 1)
     UPDATE write SET state = 'unknown', final_at = NULL, redriven = redriven + 1
     FROM items WHERE write.call_id = items.call_id AND interaction_id = $2 AND write.state = 'parked'
     RETURNING command_id`,
    [account, interactionId, reasons],
  );
  return reopened.length;
}
