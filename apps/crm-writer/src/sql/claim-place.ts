import type { Tx } from '#postgres';

/** The place that was asked for belongs to a call from now on. False = it is being given back, or was. */
export async function claimPlace(tx: Tx, requestId: string): Promise<boolean> {
  const claimed = await tx.query(`DELETE FROM asked WHERE request_id = $1 AND NOT given_up RETURNING request_id`, [
    requestId,
  ]);
  return claimed.length > 0;
}
