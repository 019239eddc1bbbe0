import type { Tx } from '#postgres';
import type { PlannedItem } from '../domain/plan-calls.js';

/** Stores what a call does for each interaction, in the submitted order. */
export async function insertItems(
  tx: Tx,
  account: string,
  callId: string,
  items: readonly PlannedItem[],
): Promise<void> {
  const rows = items.map((item, index) => ({
    item_index: index,
    interaction_id: item.interactionId,
    command_ids: item.commandIds,
    ticket_id: item.ticketId,
    follow_up_of: item.followUpOf,
    external_id: item.externalId,
    has_comment: item.comment !== null,
    attempts: item.attempts,
  }));
  await tx.query(
    `INSERT INTO item (call_id, item_index, account, interaction_id, command_ids, ticket_id, follow_up_of, external_id,
                       has_comment, attempts, state)
     SELECT $2, item_index, $1, interaction_id, command_ids, ticket_id, follow_up_of, external_id, has_comment, attempts, 'sent'
     FROM jsonb_to_recordset($3::jsonb) AS r(
       item_index integer, interaction_id text, command_ids text[], ticket_id bigint, follow_up_of bigint,
       external_id text, has_comment boolean, attempts integer)`,
    [account, callId, JSON.stringify(rows)],
  );
}
