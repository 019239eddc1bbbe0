import type { Tx } from '#postgres';

/** The job of a call needs no more polls. */
export async function endJob(tx: Tx, callId: string): Promise<void> {
  await tx.query(`UPDATE job SET over = true WHERE call_id = $1`, [callId]);
}
