import type { Tx } from '#postgres';
import type { UsageTable } from './add-usage.js';
import type { UsagePartition } from './read-usage-partitions.js';

/** Moves what was counted before its partition was there; the partition can't be attached while anything of it lies elsewhere. */
export async function moveUsageFromOther(
  tx: Pick<Tx, 'query'>,
  table: UsageTable,
  { name, fromMs, toMs }: UsagePartition,
): Promise<void> {
  await tx.query(
    `WITH moved AS (DELETE FROM ${table}_other WHERE starts_at_ms >= $1 AND starts_at_ms < $2 RETURNING *)
     INSERT INTO ${name} SELECT * FROM moved`,
    [fromMs, toMs],
  );
}
