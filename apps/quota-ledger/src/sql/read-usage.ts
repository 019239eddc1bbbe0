import type { Tx } from '#postgres';

export interface UsageSpan {
  readonly account: string;
  /** Null = all. */
  readonly integration: string | null;
  /** Buckets that begin at or after, and before, epoch ms. */
  readonly fromMs: number;
  readonly toMs: number;
  /** Rows are summed into buckets of this length; null = as they stand. */
  readonly bucketMs: number | null;
  readonly limitRows: number;
}

export interface UsageSum {
  readonly integration: string;
  readonly startsAt: number;
  readonly granted: number;
  readonly used: number;
  readonly returned: number;
  readonly expired: number;
  readonly open: number;
}

/** Calls counted per integration and bucket, oldest first. */
export async function readUsage(
  tx: Pick<Tx, 'query'>,
  table: 'usage_minute' | 'usage_day',
  span: UsageSpan,
): Promise<UsageSum[]> {
  return tx.query<UsageSum>(
    `SELECT integration, coalesce(starts_at_ms / $5 * $5, starts_at_ms) AS "startsAt", sum(granted)::bigint AS granted,
       sum(used)::bigint AS used, sum(returned)::bigint AS returned, sum(expired)::bigint AS expired,
       sum(open)::bigint AS open
     FROM ${table}
     WHERE account = $1 AND ($2::text IS NULL OR integration = $2) AND starts_at_ms >= $3 AND starts_at_ms < $4
     GROUP BY 1, 2 ORDER BY 2, 1 LIMIT $6`,
    [span.account, span.integration, span.fromMs, span.toMs, span.bucketMs, span.limitRows],
  );
}
