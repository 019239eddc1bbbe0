import type { Tx } from '#postgres';
import type { Closing } from '../domain/ledger-changes.js';

/** Records until when limits are closed; the later instant stays. */
export async function recordClosings(tx: Tx, closings: readonly Closing[]): Promise<void> {
  await tx.query(
    `INSERT INTO limit_closing (account, limit_name, key, until_ms)
     SELECT account, limit_name, key, max(until_ms)
     FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) AS c (account, limit_name, key, until_ms)
     GROUP BY account, limit_name, key
     ON CONFLICT (account, limit_name, key)
     DO UPDATE SET until_ms = greatest(limit_closing.until_ms, excluded.until_ms)`,
    [
      closings.map(({ account }) => account),
      closings.map(({ limit }) => limit),
      closings.map(({ key }) => key),
      closings.map(({ until }) => until),
    ],
  );
}
