import type { Tx } from '#postgres';

/** Forgets rows that JetStream has acknowledged. */
export async function deleteOutbox(tx: Tx, ids: readonly number[]): Promise<void> {
  await tx.query(`DELETE FROM outbox WHERE id = ANY($1::bigint[])`, [ids]);
}
