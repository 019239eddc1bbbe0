import type { Tx } from '#postgres';

export interface InteractionRow {
  readonly ticket_id: number | null;
  readonly follow_up_of: number | null;
  readonly commands: readonly {
    readonly commandId: string;
    readonly kind: string;
    readonly state: string;
    readonly priority: number;
    readonly reasonCode: string | null;
    readonly ticketId: number | null;
  }[];
}

/** An interaction's ticket and how its commands stand, in the order in which they take effect. */
export async function selectInteraction(
  tx: Tx,
  account: string,
  interactionId: string,
): Promise<InteractionRow | null> {
  const [row] = await tx.query<InteractionRow>(
    `SELECT ticket_id, follow_up_of,
            (SELECT coalesce(jsonb_agg(jsonb_build_object('commandId', command_id, 'kind', kind, 'state', state,
                      'priority', priority, 'reasonCode', reason_code, 'ticketId', ticket_id)
                      ORDER BY (kind = 'ensureTicket') DESC, event_at, event_rank, ordinal), '[]')
             FROM (SELECT * FROM write w WHERE w.account = i.account AND w.interaction_id = i.interaction_id
                   ORDER BY event_at DESC LIMIT 200) AS w) AS commands
     FROM interaction i WHERE account = $1 AND interaction_id = $2`,
    [account, interactionId],
  );
  return row ?? null;
}
