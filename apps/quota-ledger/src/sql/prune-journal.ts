import type { Tx } from '#postgres';

/** Removes at most `limitRows` turns older than an instant; how many. What isn't told yet, or not in snapshots, stays however old. */
export async function pruneJournal(tx: Pick<Tx, 'query'>, beforeMs: number, limitRows: number): Promise<number> {
  const rows = await tx.query(
    `WITH old AS (
       SELECT j.partition, j.seq FROM partition p
       JOIN LATERAL (
         SELECT partition, seq FROM journal
         WHERE partition = p.id AND seq <= least(p.told_seq, p.snapshot_seq) AND at_ms < $1 ORDER BY seq LIMIT $2
       ) j ON true
     )
     DELETE FROM journal t USING old WHERE t.partition = old.partition AND t.seq = old.seq RETURNING 1`,
    [beforeMs, limitRows],
  );
  return rows.length;
}
