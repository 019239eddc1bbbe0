import type { Tx } from '#postgres';

/**
 * Gives interactions to a call, where they are still free and their ticket is what the plan took it for. How many were.
 * An interaction that will append has no ticket of its own yet: `knownTicketIds` holds what is stored, not what is planned.
 */
export async function occupyInteractions(
  tx: Tx,
  account: string,
  callId: string,
  interactions: readonly { readonly interactionId: string; readonly knownTicketId: number | null }[],
): Promise<number> {
  const taken = await tx.query(
    `UPDATE interaction i SET busy_call_id = $2
     FROM unnest($3::text[], $4::bigint[]) AS p(interaction_id, ticket_id)
     WHERE i.account = $1 AND i.interaction_id = p.interaction_id AND i.busy_call_id IS NULL
       AND i.ticket_id IS NOT DISTINCT FROM p.ticket_id
     RETURNING i.interaction_id`,
    [
      account,
      callId,
      interactions.map(({ interactionId }) => interactionId),
      interactions.map(({ knownTicketId }) => knownTicketId),
    ],
  );
  return taken.length;
}
