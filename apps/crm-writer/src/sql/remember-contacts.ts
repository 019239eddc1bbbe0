import type { Tx } from '#postgres';
import type { PlannedItem } from '../domain/plan-calls.js';

/** A contact known under one of its keys becomes known under the others: the next interaction may tell only one of those. */
export async function rememberContacts(tx: Tx, account: string, items: readonly PlannedItem[]): Promise<void> {
  const rows = items.flatMap(({ requester, contactKeys }) =>
    requester.by === 'userId' ? contactKeys.map((key) => ({ key, user_id: requester.userId })) : [],
  );
  if (rows.length === 0) return;
  await tx.query(
    `INSERT INTO contact AS c (account, key, user_id)
     SELECT DISTINCT ON (key) $1, key, user_id FROM jsonb_to_recordset($2::jsonb) AS k(key text, user_id bigint)
     ORDER BY key, user_id
     ON CONFLICT (account, key) DO UPDATE SET user_id = excluded.user_id, step = NULL, refused_for = NULL
     WHERE c.user_id IS NULL AND c.busy_call_id IS NULL`,
    [account, JSON.stringify(rows)],
  );
}
