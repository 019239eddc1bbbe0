import type { Tx } from '#postgres';

/** Every event up to this id has been told. Never moves back. */
export async function moveRelay(tx: Pick<Tx, 'query'>, partition: number, lastId: number): Promise<void> {
  await tx.query(`UPDATE relay_position SET last_id = $2 WHERE partition = $1 AND last_id < $2`, [partition, lastId]);
}
