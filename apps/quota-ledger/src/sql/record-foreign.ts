import type { Tx } from '#postgres';
import type { ForeignCalls } from '../domain/ledger-changes.js';

/** Records calls of others, as they were seen. */
export async function recordForeign(tx: Tx, foreign: readonly ForeignCalls[]): Promise<void> {
  await tx.query(
    `INSERT INTO foreign_calls (account, limit_name, at_ms, calls)
     SELECT account, limit_name, at_ms, sum(calls)
     FROM unnest($1::text[], $2::text[], $3::bigint[], $4::integer[]) AS f (account, limit_name, at_ms, calls)
     GROUP BY account, limit_name, at_ms
     ON CONFLICT (account, limit_name, at_ms) DO UPDATE SET calls = foreign_calls.calls + excluded.calls`,
    [
      foreign.map(({ account }) => account),
      foreign.map(({ limit }) => limit),
      foreign.map(({ at }) => at),
      foreign.map(({ calls }) => calls),
    ],
  );
}
