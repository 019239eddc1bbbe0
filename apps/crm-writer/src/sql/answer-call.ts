import type { Tx } from '#postgres';
import type { CallRecord } from '../write.store.js';

/**
 * Stores a call's answer and where it goes from here, after its items' states: `settled` is closed, unless an item is
 * still unknown, or a job of it may run on. The caller holds the call's lock.
 */
export async function answerCall(
  tx: Tx,
  { callId, answer, next }: Pick<CallRecord, 'callId' | 'answer' | 'next'>,
): Promise<void> {
  const inMs = next.to === 'jobsUnknown' ? next.askInMs : next.to === 'again' ? next.inMs : 0;
  const runsOn = next.to === 'settled' && next.mayRunOn === true;
  await tx.query(
    `UPDATE call
     SET state = n.state,
         ask_at = CASE WHEN n.state IN ('unknown', 'again')
                       THEN clock_timestamp() + $3::float8 * interval '1 millisecond' END,
         jobs_settled = CASE $2 WHEN 'jobsUnknown' THEN false WHEN 'stuck' THEN true
                                WHEN 'settled' THEN jobs_settled OR NOT $6 ELSE jobs_settled END,
         may_run = $2 = 'stuck' OR (may_run AND ($2 <> 'settled' OR $6)),
         settled_at = CASE WHEN $2 = 'settled' AND NOT $6 THEN coalesce(settled_at, clock_timestamp()) ELSE settled_at END,
         status = coalesce($4, status),
         response = coalesce($5, response),
         answered_at = CASE WHEN $4::integer IS NULL THEN answered_at ELSE clock_timestamp() END,
         closed_at = CASE WHEN n.state = 'closed' THEN clock_timestamp() END
     FROM (SELECT CASE $2
             WHEN 'settled' THEN
               CASE WHEN EXISTS (SELECT 1 FROM item WHERE item.call_id = $1 AND item.state IN ('sent', 'unknown'))
                      OR ($6 AND EXISTS (SELECT 1 FROM call WHERE call_id = $1 AND may_run))
                    THEN 'unknown' ELSE 'closed' END
             WHEN 'jobsUnknown' THEN 'unknown'
             WHEN 'stuck' THEN 'unknown'
             ELSE $2 END AS state) AS n
     WHERE call_id = $1`,
    [callId, next.to, inMs, answer?.status ?? null, answer?.body ?? null, runsOn],
  );
}
