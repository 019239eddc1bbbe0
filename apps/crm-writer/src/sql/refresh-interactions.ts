import type { Tx } from '#postgres';

/**
 * Brings what the queue is ordered by into line with the interactions' writes. Runnable = something waits, nothing is
 * parked, and there is a ticket or the command that makes one. Last statement of every transaction that changes writes.
 */
export async function refreshInteractions(tx: Tx, account: string, interactionIds: readonly string[]): Promise<void> {
  await tx.query(
    `UPDATE interaction i
     SET waiting = w.waiting, priority = w.priority, since = w.since, solo = i.solo AND w.waiting > 0,
         runnable = w.waiting > 0 AND NOT w.stuck AND (i.ticket_id IS NOT NULL OR w.has_ticket_command)
     FROM (
       SELECT x.interaction_id,
              count(*) FILTER (WHERE state = 'waiting') AS waiting,
              coalesce(min(priority) FILTER (WHERE state = 'waiting'), 2) AS priority,
              coalesce(min(event_at) FILTER (WHERE state = 'waiting'), 0) AS since,
              coalesce(bool_or(state = 'parked'), false) AS stuck,
              coalesce(bool_or(kind = 'ensureTicket' AND state IN ('waiting', 'done')), false) AS has_ticket_command
       FROM unnest($2::text[]) AS x(interaction_id)
       LEFT JOIN write ON write.account = $1 AND write.interaction_id = x.interaction_id
       GROUP BY x.interaction_id
     ) w
     WHERE i.account = $1 AND i.interaction_id = w.interaction_id`,
    [account, interactionIds],
  );
}
