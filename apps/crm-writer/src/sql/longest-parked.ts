import type { Tx } from '#postgres';

/** Since how long the longest parked write is, ms. */
export async function longestParked(tx: Tx, account: string): Promise<number | null> {
  const [row] = await tx.query<{ ms: number | null }>(
    `SELECT (extract(epoch FROM clock_timestamp() - min(final_at)) * 1000)::float8 AS ms
     FROM write WHERE account = $1 AND state = 'parked'`,
    [account],
  );
  return row?.ms ?? null;
}
