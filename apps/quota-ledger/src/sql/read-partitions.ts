import type { Tx } from '#postgres';

export interface AuditedPartition {
  readonly id: number;
  readonly epoch: number;
  readonly usageSeq: number;
}

/** All partitions that ever had an owner, and how far their usage is stored. */
export async function readPartitions(tx: Pick<Tx, 'query'>): Promise<AuditedPartition[]> {
  return tx.query<AuditedPartition>(`SELECT id, epoch, usage_seq AS "usageSeq" FROM partition ORDER BY id`);
}
