import type { Tx } from '#postgres';
import { priorityOfRank } from '../domain/write.js';
import type { UnlistedBulk } from '../write.store.js';

/** Bulk calls without an answer that can no longer be under way: the list of jobs has to be asked. */
export async function selectBulksToList(tx: Tx, account: string, limit: number): Promise<UnlistedBulk[]> {
  const rows = await tx.query<Omit<UnlistedBulk, 'priority'> & { priority: number }>(
    `SELECT call_id AS "callId", sends, priority, asks, suspects FROM call
     WHERE account = $1 AND state = 'unknown' AND writer = 'batch' AND NOT jobs_settled AND ask_at <= clock_timestamp()
     ORDER BY ask_at LIMIT $2`,
    [account, limit],
  );
  return rows.map((row) => ({ ...row, priority: priorityOfRank(row.priority) }));
}
