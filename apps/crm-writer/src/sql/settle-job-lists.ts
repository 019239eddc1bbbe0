import type { Tx } from '#postgres';
import type { ListedJobs } from '../write.store.js';

/**
 * The CRM's list of jobs was read for these bulk calls. Settled = none is left that could still change anything, so their items
 * are asked for; else the list is asked again after a while. `mayRunOn` = the items are asked for although a job may still run.
 */
export async function settleJobLists(
  tx: Tx,
  callIds: readonly string[],
  { settled, suspects, inMs, mayRunOn = false, itemsInMs = 0 }: ListedJobs,
): Promise<void> {
  await tx.query(
    `WITH calls AS (
       UPDATE call SET asks = asks + 1, jobs_settled = $2, suspects = coalesce(suspects, $4::text[]),
                       may_run = NOT $2 AND (may_run OR $5),
                       settled_at = CASE WHEN $2 THEN clock_timestamp() END,
                       ask_at = clock_timestamp() + $3 * interval '1 millisecond'
       WHERE call_id = ANY($1::text[]) AND state = 'unknown' AND NOT jobs_settled
       RETURNING call_id)
     UPDATE item SET ask_at = statement_timestamp() + $6 * interval '1 millisecond'
     FROM calls WHERE ($2 OR $5) AND item.call_id = calls.call_id AND item.state = 'unknown'`,
    [callIds, settled, inMs, suspects, mayRunOn, itemsInMs],
  );
}
