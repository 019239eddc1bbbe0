import type { Tx } from '#postgres';
import type { PolledJob } from '../write.store.js';

/** Jobs that were looked at and still run: when to look next. */
export async function rescheduleJobs(tx: Tx, account: string, jobs: readonly PolledJob[]): Promise<void> {
  await tx.query(
    `UPDATE job SET polls = polls + 1, poll_at = clock_timestamp() + n.in_ms * interval '1 millisecond',
                    misses = CASE WHEN n.missed THEN misses + 1 ELSE 0 END
     FROM unnest($2::text[], $3::float8[], $4::boolean[]) AS n(job_id, in_ms, missed)
     WHERE job.account = $1 AND job.job_id = n.job_id AND NOT job.over`,
    [account, jobs.map(({ jobId }) => jobId), jobs.map(({ inMs }) => inMs), jobs.map(({ missed }) => missed)],
  );
}
