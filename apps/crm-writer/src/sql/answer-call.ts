import type { Tx } from '#postgres';
import type { CallRecord } from '../write.store.js';

export interface AnsweredCall extends Pick<CallRecord, 'callId' | 'answer'> {
  readonly next: Exclude<CallRecord['next'], { readonly to: 'stuck' }>;
}

/**
 * Stores a call's answer and where it goes from here, after its items' states: `settled` is closed, unless an item is
 * still unknown. The caller holds the call's lock.
 */
export async function answerCall(tx: Tx, { callId, answer, next }: AnsweredCall): Promise<void> {
  const inMs = next.to === 'jobsUnknown' ? next.askInMs : next.to === 'again' ? next.inMs : 0;
  await tx.query(
    `UPDATE call
     SET state = n.state,
         ask_at = CASE WHEN n.state IN ('unknown', 'again')
                       THEN clock_timestamp() + $3::float8 * interval '1 millisecond' END,
         jobs_settled = CASE $2 WHEN 'jobsUnknown' THEN false WHEN 'settled' THEN true ELSE jobs_settled END,
         status = coalesce($4, status),
         response = coalesce($5, response),
         answered_at = CASE WHEN $4::integer IS NULL THEN answered_at ELSE clock_timestamp() END,
         closed_at = CASE WHEN n.state = 'closed' THEN clock_timestamp() END
     FROM (SELECT CASE $2
             WHEN 'settled' THEN
               CASE WHEN EXISTS (SELECT 1 FROM item WHERE item.call_id = $1 AND item.state IN ('sent', 'unknown'))
                    THEN 'unknown' ELSE 'closed' END
             WHEN 'jobsUnknown' THEN 'unknown'
             ELSE $2 END AS state) AS n
     WHERE call_id = $1`,
    [callId, next.to, inMs, answer?.status ?? null, answer?.body ?? null],
  );
}
