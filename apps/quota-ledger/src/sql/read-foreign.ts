import type { Tx } from '#postgres';
import type { ForeignCalls } from '../domain/ledger-changes.js';

/** Calls of others on an account seen since an instant. */
export async function readForeign(tx: Tx, account: string, sinceMs: number): Promise<ForeignCalls[]> {
  return tx.query<ForeignCalls>(
    `SELECT account, limit_name AS "limit", at_ms AS "at", calls FROM foreign_calls WHERE account = $1 AND at_ms >= $2`,
    [account, sinceMs],
  );
}
