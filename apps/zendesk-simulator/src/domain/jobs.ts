/*
 * Bulk jobs. queued → working → completed | failed | killed. Items take effect one by one while the job works, in an
 * order of their own: ids are not in the order of the list.
 */
import { type Answer, answer } from './exchange.js';
import { type Call, linkTo, memberOf } from './call.js';
import { badRequest, recordNotFound, tooManyJobs, tooManyValues } from './errors.js';
import type { Fault, FaultEffect } from './faults.js';
import { type JsonObject, wholeNumberOf } from './json.js';
import { listAnswer } from './pagination.js';
import { hexFrom, shuffledIndexes } from './random.js';
import type { Job } from './records.js';
import { handOf, ticketListOf, warnOfUnknown } from './ticket-calls.js';
import { createTicket, type Hand, updateTicket } from './tickets.js';
import { isoAt } from './shown-clock.js';
import type { World } from './world.js';

const ITEMS_LIMIT = 100;
const JOBS_IN_FLIGHT_LIMIT = 30;
const JOBS_KEPT = 100;
const SHOW_MANY_LIMIT_JOBS = 100;

/** The fault of a job, where one was injected. */
export type JobFault = Extract<FaultEffect, { type: 'job' }>;

/** The fault among these that befalls the job a call submits. */
export function jobFaultOf(faults: readonly Fault[]): JobFault | undefined {
  const effect = faults.find((fault) => fault.effect.type === 'job')?.effect;
  return effect?.type === 'job' ? effect : undefined;
}

interface Plan {
  readonly kind: Job['kind'];
  readonly jobType: string;
  readonly items: readonly JsonObject[];
  readonly run: (hand: Hand, item: JsonObject, index: number) => JsonObject;
}

/** POST /tickets/create_many */
export function postCreateMany(call: Call, fault: JobFault | undefined): Answer {
  return submitCreations(call, fault, { kind: 'tickets.create_many', jobType: 'Bulk Create Ticket', imported: false });
}

/** POST /imports/tickets/create_many */
export function postImportMany(call: Call, fault: JobFault | undefined): Answer {
  return submitCreations(call, fault, { kind: 'tickets.import_many', jobType: 'Bulk Import Ticket', imported: true });
}

function submitCreations(
  call: Call,
  fault: JobFault | undefined,
  how: { kind: Job['kind']; jobType: string; imported: boolean },
): Answer {
  const items = ticketListOf(call);
  if (!items || items.length === 0)
    return badRequest('You passed an invalid value for the tickets attribute. Must be an array');
  if (items.length > ITEMS_LIMIT) return tooManyValues(ITEMS_LIMIT);
  for (const item of items) warnOfUnknown(call, item, how.imported);
  return submit(call, fault, {
    ...how,
    items,
    run: (hand, item, index) => createdItem(hand, item, index, how.imported),
  });
}

/** PUT /tickets/update_many: a list of different changes, or one change for `?ids=`. */
export function putUpdateMany(call: Call, fault: JobFault | undefined): Answer {
  const listed = ticketListOf(call);
  const same = memberOf(call, 'ticket');
  const ids = (call.query.get('ids') ?? '').split(',').filter(Boolean);
  if ((listed?.length ?? ids.length) > ITEMS_LIMIT) return tooManyValues(ITEMS_LIMIT);
  const items = listed ?? (same ? ids.map((id): JsonObject => ({ ...same, id })) : undefined);
  if (!items || items.length === 0)
    return badRequest('You passed an invalid value for the tickets attribute. Must be an array');
  for (const item of items) warnOfUnknown(call, item, false);
  const { tickets } = call.world;
  const seen = items.map((item) => tickets.get(wholeNumberOf(item['id']) ?? -1)?.changePosition);
  const run = (hand: Hand, item: JsonObject, index: number): JsonObject =>
    updatedItem(hand, item, { isListed: listed !== undefined, seenPosition: seen[index] });
  return submit(call, fault, { kind: 'tickets.update_many', jobType: 'Bulk Update Ticket', items, run });
}

/** GET /job_statuses/{id} */
export function getJob(call: Call): Answer {
  const job = call.world.jobs.get(call.segments[1] ?? '');
  return job && isKept(call.world, job) ? answer(200, { job_status: jobOnTheWire(call, job) }) : recordNotFound();
}

/** GET /job_statuses/show_many?ids= */
export function getJobsShowMany(call: Call): Answer {
  const ids = (call.query.get('ids') ?? '').split(',').filter(Boolean);
  if (ids.length === 0) return badRequest('ids is required');
  if (ids.length > SHOW_MANY_LIMIT_JOBS) return tooManyValues(SHOW_MANY_LIMIT_JOBS);
  const jobs = ids.flatMap((id) => call.world.jobs.get(id) ?? []).filter((job) => isKept(call.world, job));
  return answer(200, {
    job_statuses: jobs.map((job) => jobOnTheWire(call, job)),
    count: jobs.length,
    next_page: null,
    previous_page: null,
  });
}

/** GET /job_statuses: recent jobs, latest first. */
export function getJobs(call: Call): Answer {
  const jobs = [...call.world.jobs.values()].filter((job) => isKept(call.world, job)).toReversed();
  const byId = new Map(jobs.map((job) => [job.id, job]));
  return listAnswer(call, {
    name: 'job_statuses',
    ids: [...byId.keys()],
    onTheWire: (id) => jobOnTheWire(call, byId.get(id) as Job),
  });
}

/** Jobs queued or working, of one kind or of all. */
export function jobsInFlight(world: World, kind?: Job['kind']): Job[] {
  return [...world.jobs.values()].filter(
    (job) => job.endedAtMs === undefined && (kind === undefined || job.kind === kind),
  );
}

function submit(call: Call, fault: JobFault | undefined, plan: Plan): Answer {
  const { world } = call;
  const inFlight = jobsInFlight(world, world.options.open.jobLimitScope === 'job-kind' ? plan.kind : undefined);
  if (inFlight.length >= JOBS_IN_FLIGHT_LIMIT) {
    const refusal = tooManyJobs(
      world.options.open.tooManyJobsStatus,
      inFlight.map(({ id }) => id),
    );
    return { ...refusal, headers: inFlightHeader(0) };
  }
  const job: Job = {
    id: `V3-${hexFrom(world.random, 32)}`,
    kind: plan.kind,
    jobType: plan.jobType,
    total: plan.items.length,
    submittedAtMs: world.nowMs,
    status: 'queued',
    progress: null,
    message: null,
    results: Array.from({ length: plan.items.length }, () => undefined),
    endedAtMs: undefined,
  };
  world.jobs.set(job.id, job);
  forgetOldJobs(world);
  scheduleJob(world, job, { plan, fault, hand: handOf(call) });
  const headers = inFlightHeader(JOBS_IN_FLIGHT_LIMIT - inFlight.length - 1);
  return answer(200, { job_status: jobOnTheWire(call, job) }, headers);
}

function inFlightHeader(remaining: number): Record<string, string> {
  return { 'zendesk-ratelimit-inflight-jobs': `total=${JOBS_IN_FLIGHT_LIMIT}; remaining=${remaining}; resets=0` };
}

/**
 * Times as recorded from real jobs: 1 ticket 1–6 s, 50 tickets 8–13 s, 100 tickets 15–16 s, a part of it spent queued.
 */
function jobMs(world: World, items: number): { queuedMs: number; workMs: number } {
  const spreadMs = items <= 50 ? 5000 : 1000 + ((100 - items) / 50) * 4000;
  const totalMs = 1000 + 140 * items + world.random.next() * spreadMs;
  const queuedMs = Math.min(1000, totalMs * 0.2);
  const scale = world.options.jobTimeScale;
  return { queuedMs: queuedMs * scale, workMs: (totalMs - queuedMs) * scale };
}

function scheduleJob(world: World, job: Job, how: { plan: Plan; fault: JobFault | undefined; hand: Hand }): void {
  const { plan, fault, hand } = how;
  const times = jobMs(world, job.total);
  const extraMs = fault?.forMs ?? 0;
  const startMs = world.nowMs + times.queuedMs + (fault?.outcome === 'stuck' ? extraMs : 0);
  const workMs = times.workMs + (fault?.outcome === 'slow' ? extraMs : 0);
  world.schedule.at(startMs, () => (job.status = 'working'));
  const order = shuffledIndexes(world.random, job.total);
  const cut = cutOf(world, fault, job.total);
  order.slice(0, cut).forEach((index, position) => {
    world.schedule.at(startMs + (workMs * (position + 1)) / (job.total + 1), (atMs) => {
      const item = plan.items[index] ?? {};
      const fails = fault?.outcome === 'items-fail' && world.random.next() < (fault.share ?? 1);
      job.results[index] = fails ? failedItem(plan.kind, item, index) : plan.run({ ...hand, atMs }, item, index);
      job.progress = (job.progress ?? 0) + 1;
    });
  });
  world.schedule.at(startMs + workMs, (atMs) => endJob(world, job, { fault, atMs }));
}

/** A job that is killed or fails has done a part of its work: which part nobody tells. */
function cutOf(world: World, fault: JobFault | undefined, total: number): number {
  if (fault?.outcome !== 'killed' && fault?.outcome !== 'failed') return total;
  return Math.floor(total * (fault.share ?? world.random.next()));
}

function endJob(world: World, job: Job, { fault, atMs }: { fault: JobFault | undefined; atMs: number }): void {
  job.endedAtMs = atMs;
  if (fault?.outcome === 'killed' || fault?.outcome === 'failed') {
    job.status = fault.outcome;
    job.message = fault.outcome === 'killed' ? 'Job was killed' : 'Job failed';
    return;
  }
  job.status = 'completed';
  job.progress = job.total;
  job.message = `Completed at ${isoAt(world, atMs).replace('T', ' ').replace('Z', ' +0000')}`;
}

function createdItem(hand: Hand, item: JsonObject, index: number, imported: boolean): JsonObject {
  const result = createTicket(hand, item, { imported });
  if (result.ok) return { index, id: result.ticket.id, account_id: 1 };
  return { index, error: 'TicketCreateFailed', details: reasonOf(result) };
}

function updatedItem(
  hand: Hand,
  item: JsonObject,
  how: { isListed: boolean; seenPosition: number | undefined },
): JsonObject {
  const { open } = hand.world.options;
  const id = wholeNumberOf(item['id']) ?? 0;
  const ticket = hand.world.tickets.get(id);
  const failed = (error: string, details: string): JsonObject => ({
    action: 'update',
    id,
    status: 'Failed',
    success: false,
    error,
    details,
  });
  if (!ticket) return failed('TicketNotFound', 'Ticket not found');
  const hasStamp = item['safe_update'] === true && item['updated_stamp'] !== undefined;
  if (how.isListed && !hasStamp && open.updateManyStamp === 'required')
    return failed('TicketUpdateFailed', 'safe_update and updated_stamp are required');
  if (!hasStamp && open.updateManyConflicts && ticket.changePosition !== how.seenPosition)
    return failed('UpdateConflict', 'The ticket was changed meanwhile');
  const result = updateTicket(hand, ticket, item);
  if (result.ok) return { action: 'update', id, status: 'Updated', success: true };
  return result.reason === 'conflict'
    ? failed('UpdateConflict', 'The ticket was changed meanwhile')
    : failed('TicketUpdateFailed', reasonOf(result));
}

function failedItem(kind: Job['kind'], item: JsonObject, index: number): JsonObject {
  if (kind !== 'tickets.update_many') return { index, error: 'TicketCreateFailed', details: 'Injected failure' };
  const id = wholeNumberOf(item['id']) ?? 0;
  return {
    action: 'update',
    id,
    status: 'Failed',
    success: false,
    error: 'TicketUpdateFailed',
    details: 'Injected failure',
  };
}

function reasonOf(
  result: { reason: 'invalid'; errors: readonly { description: string }[] } | { reason: 'conflict' },
): string {
  return result.reason === 'conflict' ? 'conflict' : result.errors.map(({ description }) => description).join(', ');
}

function jobOnTheWire(call: Call, job: Job): JsonObject {
  return {
    id: job.id,
    job_type: job.jobType,
    url: linkTo(call, `job_statuses/${job.id}.json`),
    total: job.total,
    progress: job.progress,
    status: job.status,
    message: job.message,
    results: job.status === 'completed' ? job.results.filter((result) => result !== undefined) : null,
  };
}

/** Results live about a day. */
function isKept(world: World, job: Job): boolean {
  return job.endedAtMs === undefined || world.nowMs < job.endedAtMs + world.options.jobResultLifeMs;
}

/** Only the last jobs are kept; those in flight in any case. */
function forgetOldJobs(world: World): void {
  for (const job of world.jobs.values()) {
    if (world.jobs.size <= JOBS_KEPT) return;
    if (job.endedAtMs !== undefined) world.jobs.delete(job.id);
  }
}
