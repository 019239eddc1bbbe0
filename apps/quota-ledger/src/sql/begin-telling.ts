import type { Tx } from '#postgres';

/** The turns up to this one are about to be told, together: how they are grouped into messages doesn't change any more. */
export async function beginTelling(tx: Pick<Tx, 'query'>, partition: number, throughSeq: number): Promise<void> {
  await tx.query(`UPDATE partition SET telling_seq = $2 WHERE id = $1 AND telling_seq < $2`, [partition, throughSeq]);
}
