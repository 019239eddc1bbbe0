import type { CallKind } from '#contracts';
import type { Tx } from '#postgres';

export interface JobRow {
  readonly job_id: string;
  readonly call_id: string;
  readonly sends: number;
  readonly kind: CallKind;
  readonly grant_id: string;
  readonly priority: number;
  readonly total: number;
  readonly polls: number;
  readonly misses: number;
  readonly age_ms: number;
  readonly due: boolean;
}

/** Jobs still to be looked at, the most due first. */
export async function selectJobs(tx: Tx, account: string, limit: number): Promise<JobRow[]> {
  return tx.query<JobRow>(
    `SELECT job_id, job.call_id, sends, kind, grant_id, priority, total, polls, misses,
            (extract(epoch FROM clock_timestamp() - first_sent_at) * 1000)::float8 AS age_ms,
            poll_at <= clock_timestamp() AS due
     FROM job JOIN call USING (call_id)
     WHERE job.account = $1 AND NOT over ORDER BY poll_at LIMIT $2`,
    [account, limit],
  );
}
