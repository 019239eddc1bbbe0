import type { Tx } from '#postgres';

/** The ledger has back whatever it gave for this request. */
export async function forgetPlace(tx: Tx, requestId: string): Promise<void> {
  await tx.query(`DELETE FROM asked WHERE request_id = $1`, [requestId]);
}
