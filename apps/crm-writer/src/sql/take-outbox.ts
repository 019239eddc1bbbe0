import type { OutboxRow } from '#jetstream';
import type { Tx } from '#postgres';

/** The oldest rows that haven't been published, oldest first. */
export async function takeOutbox(tx: Tx, limit: number): Promise<OutboxRow[]> {
  return tx.query<OutboxRow>(
    `SELECT id, subject, msg_id AS "msgId", payload AS data FROM outbox ORDER BY id LIMIT $1`,
    [limit],
  );
}
