import type { Tx } from '#postgres';
import type { UsageRowCounts } from '../domain/usage.js';
import type { UsageTable } from './add-usage.js';

export interface UsageSpan {
  readonly account: string;
  /** Null = all. */
  readonly integration: string | null;
  /** Buckets that begin at or after, and before, epoch ms. */
  readonly fromMs: number;
  readonly toMs: number;
  readonly limitRows: number;
}

/** Calls counted per integration and bucket, oldest first. */
export async function readUsage(
  tx: Pick<Tx, 'query'>,
  table: UsageTable,
  { account, integration, fromMs, toMs, limitRows }: UsageSpan,
): Promise<UsageRowCounts[]> {
  return tx.query<UsageRowCounts>(
    `SELECT integration, starts_at_ms AS "startsAt", granted, used, returned, expired, open,
       crm_refused AS "crmRefused", would_refuse AS "wouldRefuse"
     FROM ${table}
     WHERE account = $1 AND ($2::text IS NULL OR integration = $2) AND starts_at_ms >= $3 AND starts_at_ms < $4
     ORDER BY starts_at_ms, integration LIMIT $5`,
    [account, integration, fromMs, toMs, limitRows],
  );
}
