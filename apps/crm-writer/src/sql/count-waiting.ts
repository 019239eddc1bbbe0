import type { Tx } from '#postgres';
import type { WaitingCounts } from '../write.store.js';

/** More than this isn't counted. */
export const COUNT_AT_MOST = 1_000;

/** How many interactions could go now, those without a ticket and those with one apart. */
export async function countWaiting(tx: Tx, account: string): Promise<WaitingCounts> {
  const [row] = await tx.query<WaitingCounts>(
    `WITH ready AS (
       (SELECT true AS makes, priority FROM interaction
        WHERE account = $1 AND runnable AND busy_call_id IS NULL AND (ticket_id IS NULL)
          AND not_before <= clock_timestamp() LIMIT $2)
       UNION ALL
       (SELECT false, priority FROM interaction
        WHERE account = $1 AND runnable AND busy_call_id IS NULL AND NOT (ticket_id IS NULL)
          AND not_before <= clock_timestamp() LIMIT $2))
     SELECT count(*) FILTER (WHERE makes)::int AS creates,
            count(*) FILTER (WHERE makes AND priority = 0)::int AS "createsLive",
            count(*) FILTER (WHERE NOT makes)::int AS updates,
            count(*) FILTER (WHERE NOT makes AND priority = 0)::int AS "updatesLive"
     FROM ready`,
    [account, COUNT_AT_MOST],
  );
  return row!;
}
