import type { Tx } from '#postgres';

/** Locks an account's interactions in the order of their ids: whoever changes several takes them by this first. */
export async function lockInteractions(tx: Tx, account: string, interactionIds: readonly string[]): Promise<void> {
  await tx.query(
    `SELECT 1 FROM interaction WHERE account = $1 AND interaction_id = ANY($2::text[])
     ORDER BY account, interaction_id FOR NO KEY UPDATE`,
    [account, interactionIds],
  );
}
