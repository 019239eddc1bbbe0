import type { Tx } from '#postgres';

/** A bulk job that the CRM has accepted. */
export async function insertJob(
  tx: Tx,
  job: {
    readonly account: string;
    readonly callId: string;
    readonly jobId: string;
    readonly total: number;
    readonly pollInMs: number;
  },
): Promise<void> {
  await tx.query(
    `INSERT INTO job (account, job_id, call_id, total, poll_at)
     VALUES ($1, $2, $3, $4, clock_timestamp() + $5 * interval '1 millisecond')`,
    [job.account, job.jobId, job.callId, job.total, job.pollInMs],
  );
}
