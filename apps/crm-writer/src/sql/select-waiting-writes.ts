import type { CommandAction } from '#contracts';
import type { Tx } from '#postgres';

export interface WaitingRow {
  readonly interaction_id: string;
  readonly command_id: string;
  readonly action: CommandAction;
  readonly event_at: number;
  readonly event_rank: number;
  readonly ordinal: number;
  readonly priority: number;
  readonly attempts: number;
}

/** The first waiting writes of each interaction in the order in which they take effect, at most `perInteraction` of each. */
export async function selectWaitingWrites(
  tx: Tx,
  account: string,
  interactionIds: readonly string[],
  perInteraction: number,
): Promise<WaitingRow[]> {
  return tx.query<WaitingRow>(
    `SELECT w.* FROM unnest($2::text[]) AS x(interaction_id)
     CROSS JOIN LATERAL (
       SELECT interaction_id, command_id, action, event_at, event_rank, ordinal, priority, attempts
       FROM write
       WHERE account = $1 AND interaction_id = x.interaction_id AND state = 'waiting'
       ORDER BY (kind = 'ensureTicket') DESC, event_at, event_rank, ordinal, command_id
       LIMIT $3
     ) w`,
    [account, interactionIds, perInteraction],
  );
}
