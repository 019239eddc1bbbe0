import type { Tx } from '#postgres';
import type { UsageTable } from './add-usage.js';

/** Counted calls of a bucket, in the order granted, used, returned, expired, open, refused by the CRM, would be refused. */
export interface CountedRow {
  readonly account: string;
  readonly integration: string;
  readonly startsAt: number;
  readonly counts: readonly number[];
}

/** Everything counted of accounts in buckets that begin in [fromMs, toMs). */
export async function readUsageBetween(
  tx: Pick<Tx, 'query'>,
  table: UsageTable,
  accounts: readonly string[],
  { fromMs, toMs }: { readonly fromMs: number; readonly toMs: number },
): Promise<CountedRow[]> {
  const rows = await tx.query<Omit<CountedRow, 'counts'> & Record<string, number>>(
    `SELECT account, integration, starts_at_ms AS "startsAt", granted, used, returned, expired, open, crm_refused, would_refuse
     FROM ${table} WHERE account = ANY ($1::text[]) AND starts_at_ms >= $2 AND starts_at_ms < $3`,
    [accounts, fromMs, toMs],
  );
  return rows.map(({ account, integration, startsAt, ...counts }) => ({
    account,
    integration,
    startsAt,
    counts: Object.values(counts) as number[],
  }));
}
