import type { Tx } from '#postgres';
import type { EndedWrite } from './lapse-writes.js';

/** Parks the command that would make an interaction's ticket; the others of the interaction wait behind it. */
export async function parkTicketCommand(
  tx: Tx,
  account: string,
  interactionId: string,
  reason: { readonly code: string; readonly text: string },
): Promise<EndedWrite[]> {
  return tx.query<EndedWrite>(
    `UPDATE write SET state = 'parked', reason_code = $3, reason_text = $4, final_at = clock_timestamp()
     WHERE account = $1 AND interaction_id = $2 AND kind = 'ensureTicket' AND state = 'waiting'
     RETURNING command_id, interaction_id, kind, event_at, traceparent, reason_code, reason_text, redriven`,
    [account, interactionId, reason.code, reason.text],
  );
}
