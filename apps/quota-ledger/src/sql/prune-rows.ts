import type { Tx } from '#postgres';

/** What grows old, and by which column. */
export const PRUNED = {
  call_grant: 'settle_by_ms',
  usage_minute: 'starts_at_ms',
  usage_day: 'starts_at_ms',
  ledger_event: 'at_ms',
  foreign_calls: 'at_ms',
  limit_closing: 'until_ms',
} as const;
export type PrunedTable = keyof typeof PRUNED;

/** Removes at most `limitRows` rows that are older than an instant; how many it removed. */
export async function pruneRows(
  tx: Pick<Tx, 'query'>,
  table: PrunedTable,
  beforeMs: number,
  limitRows: number,
): Promise<number> {
  // What isn't told yet, or not settled, stays however old it is.
  const only = { ledger_event: 'AND id <= (SELECT min(last_id) FROM relay_position)', call_grant: 'AND open = 0' };
  const more = only[table as keyof typeof only] ?? '';
  const rows = await tx.query(
    `WITH old AS (SELECT ctid FROM ${table} WHERE ${PRUNED[table]} < $1 ${more} LIMIT $2)
     DELETE FROM ${table} t USING old WHERE t.ctid = old.ctid RETURNING 1`,
    [beforeMs, limitRows],
  );
  return rows.length;
}
