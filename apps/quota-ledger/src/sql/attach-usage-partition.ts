import type { Tx } from '#postgres';
import type { UsageTable } from './add-usage.js';
import type { UsagePartition } from './read-usage-partitions.js';

/** From now on a period's counts are in this partition. */
export async function attachUsagePartition(
  tx: Pick<Tx, 'query'>,
  table: UsageTable,
  { name, fromMs, toMs }: UsagePartition,
): Promise<void> {
  await tx.query(`ALTER TABLE ${table} ATTACH PARTITION ${name} FOR VALUES FROM (${fromMs}) TO (${toMs})`);
}
