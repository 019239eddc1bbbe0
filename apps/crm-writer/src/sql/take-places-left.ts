import type { CallKind } from '#contracts';
import type { Tx } from '#postgres';
import { priorityOfRank } from '../domain/write.js';
import type { AskedPlace } from '../write.store.js';

/** Requests for places that nobody claimed for so long. From now on nobody can: what they were granted is to be given back. */
export async function takePlacesLeft(
  tx: Tx,
  account: string,
  olderThanMs: number,
  limit: number,
): Promise<AskedPlace[]> {
  const rows = await tx.query<{ requestId: string; kind: CallKind; priority: number }>(
    `UPDATE asked SET given_up = true
     WHERE request_id IN (
       SELECT request_id FROM asked
       WHERE account = $1 AND asked_at <= clock_timestamp() - $2 * interval '1 millisecond'
       ORDER BY asked_at LIMIT $3 FOR UPDATE)
     RETURNING request_id AS "requestId", kind, priority`,
    [account, olderThanMs, limit],
  );
  return rows.map((row) => ({ ...row, priority: priorityOfRank(row.priority) }));
}
