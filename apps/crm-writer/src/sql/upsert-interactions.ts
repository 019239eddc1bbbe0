import type { Tx } from '#postgres';

export interface InteractionSeen {
  readonly account: string;
  readonly interactionId: string;
  /** Only the ticket command tells these; null leaves what is there. */
  readonly contactKey: string | null;
  readonly queuePath: string | null;
}

/** Makes rows for interactions, or completes them. In the order of their keys, so that two of these can't deadlock. */
export async function upsertInteractions(tx: Tx, seen: readonly InteractionSeen[]): Promise<void> {
  const rows = seen.map((one) => ({
    account: one.account,
    interaction_id: one.interactionId,
    contact_key: one.contactKey,
    queue_path: one.queuePath,
  }));
  await tx.query(
    `INSERT INTO interaction AS i (account, interaction_id, contact_key, queue_path)
     SELECT account, interaction_id, max(contact_key), max(queue_path)
     FROM jsonb_to_recordset($1::jsonb) AS s(account text, interaction_id text, contact_key text, queue_path text)
     GROUP BY account, interaction_id
     ORDER BY account, interaction_id
     ON CONFLICT (account, interaction_id) DO UPDATE
       SET contact_key = coalesce(i.contact_key, excluded.contact_key),
           queue_path = coalesce(i.queue_path, excluded.queue_path)`,
    [JSON.stringify(rows)],
  );
}
