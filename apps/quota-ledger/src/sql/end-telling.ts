import type { Tx } from '#postgres';

/**
 * The turns up to this one have been told. Never goes back. Its commit doesn't wait for the disk: lost with a server that
 * falls, the same messages are told again, with the same ids.
 */
export async function endTelling(tx: Pick<Tx, 'query'>, partition: number, throughSeq: number): Promise<void> {
  await tx.query(
    `UPDATE partition SET told_seq = $2 WHERE id = $1 AND told_seq < $2 AND telling_seq >= $2
     RETURNING set_config('synchronous_commit', 'off', true)`,
    [partition, throughSeq],
  );
}
