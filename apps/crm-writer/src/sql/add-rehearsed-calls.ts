import type { Tx } from '#postgres';
import type { RehearsedCalls } from '../domain/rehearse-calls.js';

/** Counts calls that a dry run would have made. */
export async function addRehearsedCalls(tx: Tx, account: string, calls: readonly RehearsedCalls[]): Promise<void> {
  await tx.query(
    `INSERT INTO rehearsed_call AS r (account, kind, calls, tickets)
     SELECT $1, kind, calls, tickets FROM jsonb_to_recordset($2::jsonb) AS c(kind text, calls bigint, tickets bigint)
     ORDER BY kind
     ON CONFLICT (account, kind) DO UPDATE SET calls = r.calls + excluded.calls, tickets = r.tickets + excluded.tickets`,
    [account, JSON.stringify(calls)],
  );
}
