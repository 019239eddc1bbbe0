import type { Tx } from '#postgres';

/** Remembers that no grant made before this instant has open calls. */
export async function setOpenSince(tx: Tx, partition: number, openSinceMs: number): Promise<void> {
  await tx.query(`UPDATE ownership SET open_since_ms = $2 WHERE partition = $1`, [partition, openSinceMs]);
}
