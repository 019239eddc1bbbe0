import type { Tx } from '#postgres';

/** Jobs that were looked at and still run: when to look next. */
export async function rescheduleJobs(
  tx: Tx,
  account: string,
  jobs: readonly { readonly jobId: string; readonly inMs: number }[],
): Promise<void> {
  await tx.query(
    `UPDATE job SET polls = polls + 1, poll_at = clock_timestamp() + n.in_ms * interval '1 millisecond'
     FROM unnest($2::text[], $3::float8[]) AS n(job_id, in_ms)
     WHERE job.account = $1 AND job.job_id = n.job_id AND NOT job.over`,
    [account, jobs.map(({ jobId }) => jobId), jobs.map(({ inMs }) => inMs)],
  );
}
