import type { Tx } from '#postgres';

/** Places that bulk calls took at the ledger and need no more: their job is over, or never came to be. */
export async function selectHolds(
  tx: Tx,
  account: string,
  limit: number,
): Promise<{ readonly callId: string; readonly holdIds: string[] }[]> {
  return tx.query(
    `SELECT call_id AS "callId", hold_ids AS "holdIds" FROM call
     WHERE account = $1 AND NOT holds_released AND (state = 'closed' OR (jobs_settled AND NOT may_run))
     LIMIT $2`,
    [account, limit],
  );
}
