import type { Tx } from '#postgres';
import type { UsageRowCounts } from '../domain/usage.js';

export type UsageTable = 'usage_minute' | 'usage_hour' | 'usage_day';

/**
 * Adds counts to buckets: changed where the bucket is there, made where it isn't. Not ON CONFLICT: a change alone may be
 * negative, which the table's checks refuse. Each bucket may come once only. The bounds of what is changed are told besides: by
 * them the planner leaves out all partitions but those of the present.
 */
export async function addUsage(
  tx: Pick<Tx, 'query'>,
  table: UsageTable,
  rows: readonly (UsageRowCounts & { readonly account: string })[],
): Promise<void> {
  const columns =
    'account, starts_at_ms, integration, granted, used, returned, expired, open, crm_refused, would_refuse';
  const fields = ['account', 'startsAt', 'integration', 'granted', 'used', 'returned', 'expired', 'open'] as const;
  const counts = [...fields, 'crmRefused', 'wouldRefuse'] as const;
  await tx.query(
    `WITH change AS (
       SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
         $8::bigint[], $9::bigint[], $10::bigint[]) AS c (${columns})
     ), updated AS (
       UPDATE ${table} u SET granted = u.granted + c.granted, used = u.used + c.used, returned = u.returned + c.returned,
         expired = u.expired + c.expired, open = u.open + c.open, crm_refused = u.crm_refused + c.crm_refused,
         would_refuse = u.would_refuse + c.would_refuse
       FROM change c
       WHERE u.starts_at_ms >= $11 AND u.starts_at_ms <= $12 AND u.account = c.account
         AND u.starts_at_ms = c.starts_at_ms AND u.integration = c.integration
       RETURNING u.account, u.starts_at_ms, u.integration
     )
     INSERT INTO ${table} (${columns}) SELECT ${columns} FROM change
     WHERE (account, starts_at_ms, integration) NOT IN (SELECT account, starts_at_ms, integration FROM updated)`,
    [...counts.map((field) => rows.map((row) => row[field])), ...boundsOf(rows)],
  );
}

function boundsOf(rows: readonly { readonly startsAt: number }[]): [first: number, last: number] {
  let [first, last] = [Number.MAX_SAFE_INTEGER, 0];
  for (const { startsAt } of rows) [first, last] = [Math.min(first, startsAt), Math.max(last, startsAt)];
  return [first, last];
}
