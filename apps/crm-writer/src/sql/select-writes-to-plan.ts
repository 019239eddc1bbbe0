import type { Tx } from '#postgres';
import type { WaitingRow } from './select-waiting-writes.js';

/** Each interaction's commands of a dry run that no call was planned for, in the order in which they would take effect, at most `perInteraction`. */
export async function selectWritesToPlan(
  tx: Tx,
  account: string,
  interactionIds: readonly string[],
  perInteraction: number,
): Promise<WaitingRow[]> {
  return tx.query<WaitingRow>(
    `SELECT w.* FROM unnest($2::text[]) AS x(interaction_id)
     CROSS JOIN LATERAL (
       SELECT interaction_id, command_id, action, event_at, event_rank, ordinal, priority, attempts FROM write
       WHERE account = $1 AND interaction_id = x.interaction_id AND to_plan
       ORDER BY (kind = 'ensureTicket') DESC, event_at, event_rank, ordinal, command_id LIMIT $3) w`,
    [account, interactionIds, perInteraction],
  );
}
