import type { Tx } from '#postgres';
import { grantColumns, type GrantRow } from './grant-row.js';

/** An account's grants whose calls could arrive at or after an instant, or which may still be open. */
export async function readGrants(
  tx: Tx,
  account: string,
  { arrivesFromMs, openSinceMs }: { readonly arrivesFromMs: number; readonly openSinceMs: number },
): Promise<GrantRow[]> {
  return tx.query<GrantRow>(
    `SELECT ${grantColumns('g')} FROM call_grant g
     WHERE g.account = $1 AND g.arrives_by_ms >= least($2::bigint, $3::bigint) AND (g.arrives_by_ms >= $2 OR g.open > 0)`,
    [account, arrivesFromMs, openSinceMs],
  );
}
