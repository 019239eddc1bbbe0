import type { Tx } from '#postgres';

/** The ledger has these places back. */
export async function markHoldsReleased(tx: Tx, callIds: readonly string[]): Promise<void> {
  await tx.query(`UPDATE call SET holds_released = true WHERE call_id = ANY($1::text[])`, [callIds]);
}
