import type { Tx } from '#postgres';

/**
 * The turns up to this one are about to be told, together: how they are grouped into messages doesn't change any more. False
 * where another epoch has begun: then they are its owner's to tell, perhaps in other groups.
 */
export async function beginTelling(
  tx: Pick<Tx, 'query'>,
  { partition, epoch, throughSeq }: { readonly partition: number; readonly epoch: number; readonly throughSeq: number },
): Promise<boolean> {
  const rows = await tx.query(
    `UPDATE partition SET telling_seq = $3 WHERE id = $1 AND epoch = $2 AND telling_seq < $3 RETURNING id`,
    [partition, epoch, throughSeq],
  );
  return rows.length === 1;
}
