import type { Tx } from '#postgres';
import type { Closing } from '../domain/ledger-changes.js';

/** Limits closed beyond an instant, of every account or of one. */
export async function readClosings(tx: Tx, account: string | null, afterMs: number): Promise<Closing[]> {
  return tx.query<Closing>(
    `SELECT account, limit_name AS "limit", key, until_ms AS "until" FROM limit_closing
     WHERE until_ms > $2 AND ($1::text IS NULL OR account = $1)`,
    [account, afterMs],
  );
}
