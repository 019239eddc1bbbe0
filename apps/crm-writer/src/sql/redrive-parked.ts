import type { CommandAction } from '#contracts';
import type { Tx } from '#postgres';

/**
 * Parked writes of an interaction wait again, but for those in doubt; one attempt counts on, so that each goes alone. The reason is kept
 * until the next call. The interaction is locked before.
 */
export async function redriveParked(
  tx: Tx,
  account: string,
  interactionId: string,
  reasonsOfDoubt: readonly string[],
): Promise<{ readonly action: CommandAction }[]> {
  return tx.query(
    `UPDATE write SET state = 'waiting', grant_id = NULL, call_id = NULL, final_at = NULL, attempts = 1, redriven = redriven + 1
     WHERE account = $1 AND interaction_id = $2 AND state = 'parked'
       AND (call_id IS NULL OR reason_code <> ALL($3::text[]))
     RETURNING action`,
    [account, interactionId, reasonsOfDoubt],
  );
}
