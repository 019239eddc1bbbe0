import type { Tx } from '#postgres';

/** The last turn of a partition that was recorded before an instant; 0 where there is none. Turns' instants never go back. */
export async function readSeqAt(tx: Pick<Tx, 'query'>, partition: number, beforeMs: number): Promise<number> {
  const [row] = await tx.query<{ seq: number }>(
    `SELECT seq FROM journal WHERE partition = $1 AND at_ms < $2 ORDER BY seq DESC LIMIT 1`,
    [partition, beforeMs],
  );
  return row?.seq ?? 0;
}
