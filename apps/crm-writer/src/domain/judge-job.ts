import { saysClosed } from './judge-response.js';

/** A bulk job as the CRM tells it, read from `job_status`. */
export interface JobStatus {
  readonly id: string;
  readonly jobType: string | null;
  readonly status: string;
  readonly total: number | null;
  readonly results: readonly unknown[] | null;
}

/** What was submitted at a place of the job. */
export interface SubmittedItem {
  readonly index: number;
  /** Null = a ticket is made. */
  readonly ticketId: number | null;
}

export type ItemVerdict =
  | { readonly verdict: 'done'; readonly ticketId: number }
  /** This item alone was refused: it goes again singly, which tells why or succeeds. */
  | { readonly verdict: 'again'; readonly code: string }
  | { readonly verdict: 'followUp' }
  /** The job doesn't say: the CRM is asked for the ticket itself. */
  | { readonly verdict: 'unknown'; readonly code: string };

export type JobVerdict =
  | { readonly job: 'running' }
  | { readonly job: 'over'; readonly items: readonly { readonly index: number; readonly verdict: ItemVerdict }[] };

const RUNNING = ['queued', 'working'];

/** Is the job still to be waited for? Unknown words count as running: a job is never taken for finished by mistake. */
export function isRunning(status: string): boolean {
  return RUNNING.includes(status) || !['completed', 'failed', 'killed'].includes(status);
}

/**
 * A job's standing to what became of each item. Items of a creation are matched by `index` (ids come in any order), of an
 * update by ticket id. An item that the results don't mention is unknown, whatever the job's own word is.
 */
export function judgeJob(job: JobStatus, submitted: readonly SubmittedItem[]): JobVerdict {
  if (isRunning(job.status)) return { job: 'running' };
  const results = (job.results ?? []).filter(isRecord);
  const missing: ItemVerdict = { verdict: 'unknown', code: `job_${job.status}` };
  const items = submitted.map((item) => {
    const result = results.find((candidate) =>
      item.ticketId === null ? candidate['index'] === item.index : candidate['id'] === item.ticketId,
    );
    return { index: item.index, verdict: result ? judgeItem(item, result) : missing };
  });
  return { job: 'over', items };
}

function judgeItem(item: SubmittedItem, result: Record<string, unknown>): ItemVerdict {
  const error = result['error'] ?? result['errors'];
  if (error !== undefined && error !== null) {
    const details = `${textOf(result['details'])} ${textOf(error)}`;
    if (item.ticketId !== null && saysClosed(details)) return { verdict: 'followUp' };
    return { verdict: 'again', code: 'job_item_failed' };
  }
  if (item.ticketId === null) {
    const id = result['id'];
    return typeof id === 'number'
      ? { verdict: 'done', ticketId: id }
      : { verdict: 'unknown', code: 'job_item_without_id' };
  }
  if (result['success'] === true || result['status'] === 'Updated') return { verdict: 'done', ticketId: item.ticketId };
  if (result['success'] === false) return { verdict: 'again', code: 'job_item_failed' };
  return { verdict: 'unknown', code: 'job_item_unclear' };
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value ?? '');
}

/** The job that a submission began (`job_status`); null = the answer tells of none. */
export function jobIn(body: unknown): JobStatus | null {
  return isRecord(body) ? jobOf(body['job_status']) : null;
}

/** The jobs that an answer tells of; what isn't one is left out. Null = it has no `job_statuses`: then nothing is learned of any. */
export function jobsIn(body: unknown): JobStatus[] | null {
  if (!isRecord(body) || !Array.isArray(body['job_statuses'])) return null;
  return (body['job_statuses'] as unknown[]).flatMap((job) => jobOf(job) ?? []);
}

function jobOf(job: unknown): JobStatus | null {
  if (!isRecord(job)) return null;
  const { id, status, total, results } = job;
  if (typeof id !== 'string' || typeof status !== 'string') return null;
  return {
    id,
    status,
    jobType: typeof job['job_type'] === 'string' ? job['job_type'] : null,
    total: typeof total === 'number' ? total : null,
    results: Array.isArray(results) ? (results as unknown[]) : null,
  };
}

/** Looks at one job before its items are asked for regardless; a stuck job doesn't hold its tickets for ever. */
export const MAX_POLLS_PER_JOB = 60;
/** A job this old that isn't told of any more was forgotten by the CRM, so it is over. A younger one may yet begin. */
export const FORGOTTEN_AFTER_MS = 30 * 60_000;
const MISSES_UNTIL_FORGOTTEN = 3;
const LONGEST_POLL_GAP_MS = 60_000;
/** Looks at a stuck job, for about two days more: it may still take effect, and keeps its place at the ledger until it is over. */
export const MAX_POLLS_WHILE_STUCK = 300;
export const STUCK_POLL_GAP_MS = 10 * 60_000;

/** How often a job was looked at, and how often in a row it was missing; its age in the CRM's own time. */
export interface JobLookedAt {
  readonly polls: number;
  readonly misses: number;
  readonly ageMs: number;
}

/**
 * What follows for a job whose end a look didn't tell: `running`, `missing` in a list of others, or `untold` where the answer told
 * of no jobs at all. `forgotten` = it is over, with results that are gone; `stuck` = nobody waits for it any more, but it may still
 * run; `abandoned` = nobody looks any more.
 */
export function afterLook(
  job: JobLookedAt,
  look: 'running' | 'missing' | 'untold',
): 'later' | 'forgotten' | 'stuck' | 'abandoned' {
  if (look === 'missing' && job.misses + 1 >= MISSES_UNTIL_FORGOTTEN && job.ageMs >= FORGOTTEN_AFTER_MS)
    return 'forgotten';
  const polls = job.polls + 1;
  if (polls === MAX_POLLS_PER_JOB) return 'stuck';
  return polls >= MAX_POLLS_PER_JOB + MAX_POLLS_WHILE_STUCK ? 'abandoned' : 'later';
}

/**
 * When to look at a job next, ms from its submission (`polls` = 0) or from the last look. Timed by size, after what
 * Zendesk was seen to take (docs/zendesk.md: 1 ticket 1–6 s, 50 in 8–13 s, 100 in 15–16 s), in the CRM's own time.
 */
export function pollInMs(total: number, polls: number): number {
  const expectedMs = 3_500 + total * 135;
  if (polls === 0) return expectedMs;
  if (polls >= MAX_POLLS_PER_JOB) return STUCK_POLL_GAP_MS;
  return Math.min(Math.round(1_000 + expectedMs * 0.3 * 1.5 ** (polls - 1)), LONGEST_POLL_GAP_MS);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
