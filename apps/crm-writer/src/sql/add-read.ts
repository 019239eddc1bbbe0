import type { Tx } from '#postgres';

/** Counts a call that only asked. */
export async function addRead(tx: Tx, account: string, kind: string): Promise<void> {
  await tx.query(
    `INSERT INTO read_count AS r (account, kind, calls) VALUES ($1, $2, 1)
     ON CONFLICT (account, kind) DO UPDATE SET calls = r.calls + 1`,
    [account, kind],
  );
}
