import type { Tx } from '#postgres';
import type { NextDue } from '../write.store.js';

/**
 * When something is due next, of each sort, as ms from now. Waits are compared with the statement's own time, which doesn't change while
 * it runs: only so they are found by index.
 */
export async function nextDue(tx: Tx, account: string): Promise<NextDue> {
  const inMs = (at: string): string => `(extract(epoch FROM ${at} - clock_timestamp()) * 1000)::float8`;
  const [row] = await tx.query<NextDue>(
    `SELECT
       (SELECT ${inMs('min(under_way_until)')} FROM call WHERE account = $1 AND state = 'sent') AS "sentInMs",
       (SELECT ${inMs('min(poll_at)')} FROM job WHERE account = $1 AND NOT over) AS "jobInMs",
       (SELECT ${inMs('min(ask_at)')} FROM call
        WHERE account = $1 AND state = 'unknown' AND writer = 'batch' AND NOT jobs_settled) AS "jobListInMs",
       (SELECT ${inMs('min(item.ask_at)')} FROM item JOIN call USING (call_id)
        WHERE item.account = $1 AND item.state = 'unknown' AND call.state = 'unknown'
          AND (jobs_settled OR may_run)) AS "itemInMs",
       (SELECT ${inMs('min(ask_at)')} FROM call WHERE account = $1 AND state = 'again') AS "againInMs",
       (SELECT ${inMs('min(ask_at)')} FROM call
        WHERE account = $1 AND state = 'unknown' AND writer = 'contact') AS "contactCallInMs",
       (SELECT ${inMs('min(at)')} FROM (
          (SELECT not_before AS at FROM interaction
           WHERE account = $1 AND runnable AND busy_call_id IS NULL AND not_before > statement_timestamp()
           ORDER BY not_before LIMIT 1)
          UNION ALL
          (SELECT not_before FROM contact
           WHERE account = $1 AND user_id IS NULL AND not_before > statement_timestamp()
           ORDER BY not_before LIMIT 1)) AS waits) AS "waitingInMs",
       (SELECT min(not_after) - extract(epoch FROM clock_timestamp()) * 1000 FROM write
        WHERE account = $1 AND state = 'waiting' AND not_after IS NOT NULL)::float8 AS "lapseInMs",
       EXISTS (SELECT 1 FROM call
        WHERE account = $1 AND NOT holds_released AND (state = 'closed' OR (jobs_settled AND NOT may_run))) AS holds`,
    [account],
  );
  return row!;
}
