import type { Tx } from '#postgres';

/** Takes writes out of `waiting` under a grant. How many were still waiting. */
export async function sendWrites(
  tx: Tx,
  call: { readonly callId: string; readonly grantId: string },
  commandIds: readonly string[],
): Promise<number> {
  const sent = await tx.query(
    `UPDATE write SET state = 'sent', call_id = $1, grant_id = $2, reason_code = NULL, reason_text = NULL
     WHERE command_id = ANY($3::text[]) AND state = 'waiting'
     RETURNING command_id`,
    [call.callId, call.grantId, commandIds],
  );
  return sent.length;
}
