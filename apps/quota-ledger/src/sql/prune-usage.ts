import type { Tx } from '#postgres';
import type { UsageTable } from './add-usage.js';

/**
 * Removes at most `limitRows` buckets that began before an instant and lie in no partition of their own; how many. Partitions
 * are dropped as a whole.
 */
export async function pruneUsage(
  tx: Pick<Tx, 'query'>,
  table: UsageTable,
  beforeMs: number,
  limitRows: number,
): Promise<number> {
  const rows = await tx.query(
    `WITH old AS (SELECT ctid FROM ${table}_other WHERE starts_at_ms < $1 LIMIT $2)
     DELETE FROM ${table}_other t USING old WHERE t.ctid = old.ctid RETURNING 1`,
    [beforeMs, limitRows],
  );
  return rows.length;
}
