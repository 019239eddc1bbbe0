import type { Tx } from '#postgres';
import type { UsageTable } from './add-usage.js';

/** A partition of counted calls: buckets that begin in [fromMs, toMs), epoch ms. */
export interface UsagePartition {
  readonly name: string;
  readonly fromMs: number;
  readonly toMs: number;
}

interface PartitionRow {
  readonly name: string;
  readonly bound: string;
}

const BOUND = /^FOR VALUES FROM \('?(-?\d+)'?\) TO \('?(-?\d+)'?\)$/;

/** A table's partitions in order of time, without the one for whatever has none. */
export async function readUsagePartitions(tx: Pick<Tx, 'query'>, table: UsageTable): Promise<UsagePartition[]> {
  const rows = await tx.query<PartitionRow>(
    `SELECT c.relname AS name, pg_get_expr(c.relpartbound, c.oid) AS bound
     FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = $1::regclass`,
    [table],
  );
  return rows
    .flatMap(({ name, bound }) => {
      const [, from, to] = BOUND.exec(bound) ?? [];
      return from === undefined ? [] : [{ name, fromMs: Number(from), toMs: Number(to) }];
    })
    .toSorted((a, b) => a.fromMs - b.fromMs);
}
