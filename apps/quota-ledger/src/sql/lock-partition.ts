import type { Tx } from '#postgres';

/** Until the transaction ends nobody else writes what is stored of a partition; waits for who does. */
export async function lockPartition(tx: Pick<Tx, 'query'>, partition: number): Promise<void> {
  await tx.query('SELECT 1 FROM partition WHERE id = $1 FOR UPDATE', [partition]);
}
