import type { Tx } from '#postgres';

/** Removes a partition and all that was counted in it. */
export async function dropUsagePartition(tx: Pick<Tx, 'query'>, name: string): Promise<void> {
  await tx.query(`DROP TABLE ${name}`);
}
