import type { Tx } from '#postgres';
import type { UsageChange } from '../domain/ledger-changes.js';

/**
 * Adds changes to the counts of minutes or days. MERGE rather than ON CONFLICT: a change alone may be negative, which the
 * table's checks would refuse before it is added.
 */
export async function addUsage(
  tx: Tx,
  table: 'usage_minute' | 'usage_day',
  changes: readonly UsageChange[],
): Promise<void> {
  await tx.query(
    `MERGE INTO ${table} u
     USING unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[])
       AS c (account, starts_at_ms, integration, granted, used, returned, expired, open)
     ON u.account = c.account AND u.starts_at_ms = c.starts_at_ms AND u.integration = c.integration
     WHEN MATCHED THEN UPDATE SET granted = u.granted + c.granted, used = u.used + c.used,
       returned = u.returned + c.returned, expired = u.expired + c.expired, open = u.open + c.open
     WHEN NOT MATCHED THEN INSERT (account, starts_at_ms, integration, granted, used, returned, expired, open)
       VALUES (c.account, c.starts_at_ms, c.integration, c.granted, c.used, c.returned, c.expired, c.open)`,
    [
      changes.map(({ account }) => account),
      changes.map(({ startsAt }) => startsAt),
      changes.map(({ integration }) => integration),
      changes.map(({ granted }) => granted),
      changes.map(({ used }) => used),
      changes.map(({ returned }) => returned),
      changes.map(({ expired }) => expired),
      changes.map(({ open }) => open),
    ],
  );
}
