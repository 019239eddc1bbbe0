import type { Tx } from '#postgres';
import type { StoredItem } from '../write.store.js';

/** A call's items that are still open, in the submitted order. */
export async function selectItems(tx: Tx, callId: string): Promise<StoredItem[]> {
  return tx.query<StoredItem>(
    `SELECT item_index AS index, interaction_id AS "interactionId", cardinality(command_ids) AS commands, attempts,
            ticket_id AS "ticketId", external_id AS "externalId"
     FROM item WHERE call_id = $1 AND state IN ('sent', 'unknown') ORDER BY item_index`,
    [callId],
  );
}
