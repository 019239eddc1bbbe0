import type { Tx } from '#postgres';

/** A contact's call may or may not have taken effect: it stays busy, with its failures so far. */
export async function countContactAttempts(
  tx: Tx,
  account: string,
  keys: readonly string[],
  attempts: number,
): Promise<void> {
  await tx.query(`UPDATE contact SET attempts = $3 WHERE account = $1 AND key = ANY($2::text[])`, [
    account,
    keys,
    attempts,
  ]);
}
