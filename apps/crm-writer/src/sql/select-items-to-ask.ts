import type { Tx } from '#postgres';
import { priorityOfRank } from '../domain/write.js';
import type { ItemToAsk } from '../write.store.js';

/** Items of unknown calls whose question is due. */
export async function selectItemsToAsk(
  tx: Tx,
  account: string,
  limit: number,
  exclude: readonly string[],
): Promise<ItemToAsk[]> {
  const rows = await tx.query<Omit<ItemToAsk, 'priority'> & { priority: number }>(
    `SELECT item.call_id AS "callId", sends, item_index AS index, attempts, writer = 'single' AS single, priority,
            (extract(epoch FROM clock_timestamp() - first_sent_at) * 1000)::float8 AS "firstSentAgoMs",
            interaction_id AS "interactionId", command_ids AS "commandIds", ticket_id AS "ticketId",
            follow_up_of AS "followUpOf", external_id AS "externalId", has_comment AS "hasComment", own,
            item.asks, cursor, may_run AS "mayStillRun",
            (SELECT count(*)::int FROM item AS beside WHERE beside.call_id = item.call_id) AS items,
            (extract(epoch FROM clock_timestamp() - coalesce(settled_at, under_way_until)) * 1000)::float8 AS "quietForMs"
     FROM item JOIN call USING (call_id)
     WHERE item.account = $1 AND item.state = 'unknown' AND item.ask_at <= clock_timestamp()
       AND call.state = 'unknown' AND (call.jobs_settled OR call.may_run) AND NOT (interaction_id = ANY($3::text[]))
     ORDER BY priority, item.ask_at LIMIT $2`,
    [account, limit, exclude],
  );
  return rows.map((row) => ({ ...row, priority: priorityOfRank(row.priority) }));
}
