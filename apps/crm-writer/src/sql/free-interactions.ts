import type { Tx } from '#postgres';
import type { ItemEffectAt } from '../write.store.js';

/**
 * What a call's effects mean for its interactions: free for the next one unless unknown, with the ticket it now has,
 * without the one that turned out closed (the next ticket follows it), and not before the wait it was given.
 */
export async function freeInteractions(
  tx: Tx,
  account: string,
  callId: string,
  effects: readonly ItemEffectAt[],
): Promise<void> {
  const rows = effects.map(({ index, interactionId, effect }) => ({
    item_index: index,
    interaction_id: interactionId,
    effect: effect.effect,
    ticket_id: effect.effect === 'done' ? effect.ticketId : null,
    in_ms: effect.effect === 'waiting' ? effect.inMs : 0,
    solo: effect.effect === 'waiting' && effect.solo,
    most_in_job: effect.effect === 'waiting' ? (effect.mostInJob ?? null) : null,
  }));
  await tx.query(
    `UPDATE interaction i
     SET busy_call_id = CASE WHEN e.effect = 'unknown' THEN i.busy_call_id END,
         ticket_id = CASE WHEN e.effect = 'followUp' THEN NULL ELSE coalesce(e.ticket_id, i.ticket_id) END,
         ticket_at = CASE WHEN e.ticket_id IS NOT NULL AND i.ticket_id IS NULL THEN clock_timestamp() ELSE i.ticket_at END,
         ticket_open = CASE WHEN e.ticket_id IS NOT NULL AND i.ticket_id IS NULL THEN true ELSE i.ticket_open END,
         follow_up_of = CASE WHEN e.effect = 'followUp' THEN item.ticket_id ELSE i.follow_up_of END,
         solo = i.solo OR e.solo,
         most_in_job = CASE WHEN e.effect <> 'done' THEN coalesce(e.most_in_job, i.most_in_job) END,
         not_before = clock_timestamp() + e.in_ms * interval '1 millisecond'
     FROM jsonb_to_recordset($3::jsonb) AS e(
            item_index integer, interaction_id text, effect text, ticket_id bigint, in_ms float8, solo boolean,
            most_in_job smallint)
     JOIN item ON item.call_id = $2 AND item.item_index = e.item_index
     WHERE i.account = $1 AND i.interaction_id = e.interaction_id AND i.busy_call_id = $2`,
    [account, callId, JSON.stringify(rows)],
  );
}
