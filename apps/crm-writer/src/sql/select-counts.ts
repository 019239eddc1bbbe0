import type { Tx } from '#postgres';

export interface CountsRow {
  readonly states: Record<string, number>;
  readonly oldest_waiting_at: number | null;
  readonly calls: Record<string, number>;
  readonly jobs_running: number;
  readonly outbox: number;
}

/** How many writes stand where, and how many calls of each kind were made. */
export async function selectCounts(tx: Tx, account: string): Promise<CountsRow> {
  const [row] = await tx.query<CountsRow>(
    `SELECT
       (SELECT coalesce(jsonb_object_agg(state, n), '{}') FROM (
          SELECT state, count(*) AS n FROM write WHERE account = $1 GROUP BY state) AS s) AS states,
       (SELECT min(since) FROM interaction WHERE account = $1 AND waiting > 0) AS oldest_waiting_at,
       (SELECT coalesce(jsonb_object_agg(kind, n), '{}') FROM (
          SELECT kind, sum(n) AS n FROM (
            SELECT kind, sum(sends) AS n FROM call WHERE account = $1 GROUP BY kind
            UNION ALL SELECT kind, calls FROM read_count WHERE account = $1) AS all_calls
          GROUP BY kind) AS c) AS calls,
       (SELECT count(*)::int FROM job WHERE account = $1 AND NOT over) AS jobs_running,
       (SELECT count(*)::int FROM outbox WHERE msg_id LIKE $1 || '.%') AS outbox`,
    [account],
  );
  return row!;
}
