import type { Tx } from '#postgres';

/** Records places given back. */
export async function deleteHolds(
  tx: Tx,
  released: readonly { readonly account: string; readonly holdId: string }[],
): Promise<void> {
  await tx.query(
    `DELETE FROM hold h USING unnest($1::text[], $2::text[]) AS r (account, id)
     WHERE h.account = r.account AND h.id = r.id`,
    [released.map(({ account }) => account), released.map(({ holdId }) => holdId)],
  );
}
