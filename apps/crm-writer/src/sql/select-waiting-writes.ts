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

/** Commands of one interaction read at once, bytes: more than one comment can hold, and little enough to hold hundreds of. */
export const MAX_BYTES_PER_INTERACTION = 150_000;

/** The first waiting writes of each interaction in the order in which they take effect, at most `perInteraction` of each. */
export async function selectWaitingWrites(
  tx: Tx,
  account: string,
  interactionIds: readonly string[],
  perInteraction: number,
): Promise<WaitingRow[]> {
  return tx.query<WaitingRow>(
    `SELECT f.* FROM unnest($2::text[]) AS x(interaction_id)
     CROSS JOIN LATERAL (
       SELECT *, sum(octet_length(action::text)) OVER (ROWS UNBOUNDED PRECEDING) AS bytes, row_number() OVER () AS place
       FROM (
         SELECT interaction_id, command_id, action, event_at, event_rank, ordinal, priority, attempts
         FROM write
         WHERE account = $1 AND interaction_id = x.interaction_id AND state = 'waiting'
         ORDER BY (kind = 'ensureTicket') DESC, event_at, event_rank, ordinal, command_id
         LIMIT $3
       ) AS first
     ) f
     WHERE f.place = 1 OR f.bytes <= $4`,
    [account, interactionIds, perInteraction, MAX_BYTES_PER_INTERACTION],
  );
}
