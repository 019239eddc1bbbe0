import type { Tx } from '#postgres';

export interface PartitionRow {
  readonly epoch: number;
  readonly usageSeq: number;
  readonly snapshotSeq: number;
  readonly toldSeq: number;
  readonly tellingSeq: number;
  /** The journal's last turn; 0 where it has none. */
  readonly lastSeq: number;
  /** The database's clock, epoch ms, rounded up. */
  readonly nowMs: number;
}

/** How far a partition is. */
export async function readPartition(tx: Pick<Tx, 'query'>, partition: number): Promise<PartitionRow | null> {
  const [row] = await tx.query<PartitionRow>(
    `SELECT epoch, usage_seq AS "usageSeq", snapshot_seq AS "snapshotSeq", told_seq AS "toldSeq",
       telling_seq AS "tellingSeq",
       coalesce((SELECT seq FROM journal WHERE partition = p.id ORDER BY seq DESC LIMIT 1), 0) AS "lastSeq",
       ceil(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS "nowMs"
     FROM partition p WHERE id = $1`,
    [partition],
  );
  return row ?? null;
}
