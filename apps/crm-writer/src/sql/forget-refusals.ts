import type { Tx } from '#postgres';

/** Contacts under these keys are no longer taken for refused: they are looked for and made anew. */
export async function forgetRefusals(tx: Tx, account: string, keys: readonly string[]): Promise<void> {
  await tx.query(
    `DELETE FROM contact
     WHERE account = $1 AND key = ANY($2::text[]) AND step = 'refused' AND user_id IS NULL AND busy_call_id IS NULL`,
    [account, keys],
  );
}
