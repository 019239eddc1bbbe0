import type { Tx } from '#postgres';
import type { ClaimAgain } from '../write.store.js';

/** The same bytes go again under a new grant, with the call's item and writes. False = somebody has done so already. */
export async function resendCall(tx: Tx, { callId, sends, grantId, underWayForMs }: ClaimAgain): Promise<boolean> {
  const sent = await tx.query(
    `WITH again AS (
       UPDATE call
       SET state = 'sent', sends = sends + 1, grant_id = $3, ask_at = NULL,
           under_way_until = clock_timestamp() + $4 * interval '1 millisecond'
       WHERE call_id = $1 AND sends = $2 AND state = 'again'
       RETURNING call_id),
     items AS (
       UPDATE item SET state = 'sent' FROM again WHERE item.call_id = again.call_id AND item.state = 'unknown' RETURNING 1),
     writes AS (
       UPDATE write SET state = 'sent', grant_id = $3 FROM again
       WHERE write.call_id = again.call_id AND write.state = 'unknown' RETURNING 1)
     SELECT call_id FROM again`,
    [callId, sends, grantId, underWayForMs],
  );
  return sent.length === 1;
}
