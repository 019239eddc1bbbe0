import type { CallKind } from '#contracts';
import type { CallEnd, MadeCall } from './call.maker.js';
import { type EffectInput, effectOfItem, effectOfSubmission, type ItemEffect } from './domain/effect.js';
import {
  afterLook,
  isRunning,
  jobIn,
  type JobStatus,
  jobsIn,
  judgeJob,
  MAX_POLLS_PER_JOB,
  MAX_POLLS_WHILE_STUCK,
  pollInMs,
  STUCK_POLL_GAP_MS,
} from './domain/judge-job.js';
import type { PlannedCall } from './domain/plan-calls.js';
import {
  EXPORT_LAG_MS,
  jobOfTickets,
  jobsSettled,
  suspectJobs,
  ticketsToShow,
  WORTH_AN_EXPORT,
} from './domain/resolve-unknown.js';
import { mostUrgent } from './domain/write.js';
import type { WriterTools } from './single.writer.js';
import type { CallRecord, ItemEffectAt, PolledJob, RunningJob, StoredItem, UnlistedBulk } from './write.store.js';
import { ticketsIn } from './zendesk/answers.js';
import { listJobs, pollJobs, showTickets, writeRequest } from './zendesk/requests.js';

/** Most jobs that one question covers. */
export const MAX_JOBS_PER_POLL = 100;
/** Looks at the CRM's list of jobs for a bulk call without an answer, before its tickets are asked for regardless. */
export const MAX_LISTINGS = 120;
const LIST_AGAIN_MS = 5_000;
/** Polls failed in a row from which on every second one asks by the list of jobs, another door to the same. */
const FAILED_POLLS_BEFORE_LIST = 3;
/** Jobs whose results are kept as a hint for calls in doubt. */
const MAX_HINTS = 100;

/** Writes up to 100 interactions by one call, whose effect comes later: a job at the CRM that is polled. */
export class BatchWriter {
  /** Requests for a place that came to nothing, to be made again: as many as there were submissions at once. */
  readonly #asked = new Map<string, CallKind>();
  #failedPolls = 0;
  /** By call in doubt, the job that told of exactly its tickets. */
  readonly #hints = new Map<string, JobStatus>();

  constructor(private readonly tools: WriterTools) {}

  /** A job that may be this call in doubt, as it tells of exactly the same tickets; null = none was seen. */
  hintFor(callId: string): JobStatus | null {
    return this.#hints.get(callId) ?? null;
  }

  /** Submits a planned job. */
  async submit(call: PlannedCall, callId: string): Promise<CallEnd> {
    const { account, store, maker } = this.tools;
    const commands = call.items.reduce((sum, { commandIds }) => sum + commandIds.length, 0);
    const requestId = await this.#askForPlace(call);
    return maker.make({
      callId,
      kind: call.kind,
      keys: [],
      priority: call.priority,
      requestId,
      ungranted: () => this.#asked.set(requestId, call.kind),
      effect: true,
      about: { writer: 'batch', items: call.items.length, commands },
      claim: async (grant, underWayForMs) => {
        const request = writeRequest(call, callId);
        const { kind, priority, items } = call;
        const { grantId, holdIds } = grant;
        const claim = { account, callId, kind, writer: 'batch', priority, grantId, holdIds, request, items } as const;
        return (await store.claim({ ...claim, requestId, underWayForMs })) ? request : null;
      },
      record: (made) => this.#recordSubmission(call, callId, made),
    });
  }

  /**
   * Notes the request before it is made: a place that was granted to a request nobody remembers would stay taken for ever. One that
   * got no grant, or no answer, is made again under the same id, which finds the grant where there is one.
   */
  async #askForPlace({ kind, priority }: PlannedCall): Promise<string> {
    const { account, store, newId } = this.tools;
    for (const [requestId, of] of this.#asked) {
      if (of !== kind) continue;
      this.#asked.delete(requestId);
      if (await store.askForPlace(account, { requestId, kind, priority })) return requestId;
    }
    const requestId = newId();
    await store.askForPlace(account, { requestId, kind, priority });
    return requestId;
  }

  async #recordSubmission(call: PlannedCall, callId: string, made: MadeCall): Promise<void> {
    const { account, store, timeScale } = this.tools;
    const total = call.items.length;
    const base = { account, callId, sends: 1, answer: answerOf(made) };
    const job = made.made === 'answered' && made.verdict.verdict === 'done' ? jobIn(bodyOf(made)) : null;
    if (job) {
      const inMs = pollInMs(total, 0) / timeScale;
      await store.record({ ...base, next: { to: 'job', jobId: job.id, total, pollInMs: inMs }, effects: [] });
      return;
    }
    const effects = call.items.map((item, index): ItemEffectAt => {
      const input = {
        ...this.#inputFor({ commands: item.commandIds.length, attempts: item.attempts }, made),
        items: total,
      };
      return { index, interactionId: item.interactionId, effect: effectOfMade(made, input) };
    });
    const unknown = effects.find(({ effect }) => effect.effect === 'unknown')?.effect;
    const next: CallRecord['next'] =
      unknown?.effect === 'unknown' ? { to: 'jobsUnknown', askInMs: unknown.askInMs } : { to: 'settled' };
    await store.record({ ...base, next, effects });
  }

  /** Asks for all running jobs at once; due ones that still run are looked at again later. */
  poll(jobs: readonly RunningJob[], callId: string): Promise<CallEnd> {
    const { account, store, maker } = this.tools;
    const byList = this.#failedPolls >= FAILED_POLLS_BEFORE_LIST && this.#failedPolls % 2 === 1;
    const kind = byList ? 'jobs.list' : 'jobs.show';
    const request = byList ? listJobs() : pollJobs(jobs.map(({ jobId }) => jobId));
    return maker.make({
      callId,
      kind,
      keys: [],
      priority: mostUrgent(jobs.map(({ priority }) => priority)),
      effect: false,
      about: { writer: 'batch', jobs: jobs.length },
      claim: async () => {
        await store.countRead(account, kind);
        return request;
      },
      record: (made) => this.#recordPoll(jobs, made, byList),
    });
  }

  async #recordPoll(jobs: readonly RunningJob[], made: MadeCall, byList: boolean): Promise<void> {
    const answered = made.made === 'answered' && ['done', 'park'].includes(made.verdict.verdict);
    this.#failedPolls = answered ? 0 : this.#failedPolls + 1;
    // A limit or a CRM that fails for all is waited for by the account; any other answer is one of a bounded number of looks.
    if (made.made === 'unsent' || !(answered || isOwnFailure(made))) return;
    const jobsTold = made.made === 'answered' && made.verdict.verdict === 'done' ? jobsIn(bodyOf(made)) : null;
    const told = new Map((jobsTold ?? []).map((job) => [job.id, job]));
    const later: PolledJob[] = [];
    for (const job of jobs) {
      const status = told.get(job.jobId);
      // The list holds the latest only: that it doesn't tell of a job says nothing.
      const look = status ? 'running' : jobsTold && !byList ? 'missing' : 'untold';
      try {
        if (status && !isRunning(status.status)) await this.#recordEnd(job, status, made.own);
        else if (job.due) later.push(...(await this.#lookedAt(job, look, made.own)));
      } catch (error) {
        // What can't be stored of one job mustn't keep the others' results.
        const { account, log } = this.tools;
        log.warn('what a job came to could not be stored', { account, callId: job.callId, jobId: job.jobId, error });
        later.push(...(await this.#lookedAt(job, 'untold', made.own)));
      }
    }
    if (later.length > 0) await this.tools.store.polled(this.tools.account, later);
  }

  /** A look that didn't tell a job's end. Only what is due counts: others are told of by the way. */
  async #lookedAt(job: RunningJob, look: 'running' | 'missing' | 'untold', own: boolean): Promise<PolledJob[]> {
    const { timeScale } = this.tools;
    const after = afterLook({ ...job, ageMs: job.ageMs * timeScale }, look);
    switch (after) {
      case 'forgotten':
      case 'abandoned':
        await this.#recordEnd(job, { id: job.jobId, jobType: null, status: 'killed', total: null, results: null }, own);
        return [];
      case 'stuck':
        await this.#giveUp(job);
        return [];
      case 'later':
        return [
          {
            jobId: job.jobId,
            inMs: pollInMs(job.total, job.polls + 1) / timeScale,
            missed: look === 'missing',
          },
        ];
      default:
        return after satisfies never;
    }
  }

  async #recordEnd(job: RunningJob, status: JobStatus, own: boolean): Promise<void> {
    const { account, store } = this.tools;
    const items = await store.itemsOf(job.callId);
    const verdict = judgeJob(status, items);
    if (verdict.job === 'running') return;
    const byIndex = new Map(items.map((item) => [item.index, item]));
    const inDoubt = verdict.items.filter(({ verdict: said }) => said.verdict === 'unknown').map(({ index }) => index);
    const askInMs = this.#askInMs(items.filter(({ index }) => inDoubt.includes(index)));
    const effects = verdict.items.flatMap(({ index, verdict: said }): ItemEffectAt[] => {
      const item = byIndex.get(index);
      if (!item) return [];
      const effect = effectOfItem(said, { ...this.#input(item, own, 0), items: job.total });
      return [
        {
          index,
          interactionId: item.interactionId,
          effect: effect.effect === 'unknown' ? { ...effect, askInMs } : effect,
        },
      ];
    });
    await store.record({
      account,
      callId: job.callId,
      sends: job.sends,
      answer: null,
      next: { to: 'settled' },
      effects,
    });
  }

  /** When to ask for items in doubt: many tickets are found by one export, which tells of nothing younger than it lags behind. */
  #askInMs(items: readonly StoredItem[]): number {
    const makes = items.filter(({ ticketId }) => ticketId === null).length;
    return makes >= WORTH_AN_EXPORT ? EXPORT_LAG_MS / this.tools.timeScale : 0;
  }

  /**
   * A job that never ends may still take effect at any time: what isn't at the CRM yet can't be sent again, it could be doubled. Its items
   * are asked for, and it is looked at on, rarely, and keeps its place: it may count at the CRM.
   */
  async #giveUp(job: RunningJob): Promise<void> {
    const { account, store, timeScale } = this.tools;
    const effects = (await store.itemsOf(job.callId)).map(({ index, interactionId }): ItemEffectAt => ({
      index,
      interactionId,
      effect: { effect: 'unknown', code: 'job_stuck', askInMs: 0, own: false },
    }));
    await store.record({
      account,
      callId: job.callId,
      sends: job.sends,
      answer: null,
      next: { to: 'stuck', jobId: job.jobId, pollInMs: pollInMs(job.total, MAX_POLLS_PER_JOB) / timeScale },
      effects,
    });
  }

  /**
   * Reads the CRM's list of jobs for bulk calls whose answer was lost. Once no job is left that could be one of them, what they
   * made is looked at in one call, by the ids that jobs of unknown origin tell; only the rest is asked for item by item.
   */
  async list(bulks: readonly UnlistedBulk[], knownJobIds: ReadonlySet<string>, callId: string): Promise<CallEnd> {
    const { account, store, maker, timeScale } = this.tools;
    const jobs: JobStatus[] = [];
    const settled = new Set<UnlistedBulk>();
    const end = await maker.make({
      callId,
      kind: 'jobs.list',
      keys: [],
      priority: mostUrgent(bulks.map(({ priority }) => priority)),
      effect: false,
      about: { writer: 'batch', bulks: bulks.length },
      claim: async () => {
        await store.countRead(account, 'jobs.list');
        return listJobs();
      },
      record: async (made) => {
        const answered = made.made === 'answered' && ['done', 'park'].includes(made.verdict.verdict);
        if (made.made === 'unsent' || !(answered || isOwnFailure(made))) return;
        const listed = made.made === 'answered' && made.verdict.verdict === 'done' ? jobsIn(bodyOf(made)) : null;
        const suspects = listed && suspectJobs(listed, knownJobIds);
        jobs.push(...(listed ?? []));
        for (const bulk of bulks)
          if (
            (listed && jobsSettled(listed, bulk.suspects ?? suspects ?? [], knownJobIds)) ||
            bulk.asks >= MAX_LISTINGS + MAX_POLLS_WHILE_STUCK
          )
            settled.add(bulk);
        const rest = bulks.filter((bulk) => !settled.has(bulk));
        const early = rest.filter(({ asks }) => asks + 1 < MAX_LISTINGS);
        const late = rest.filter(({ asks }) => asks + 1 >= MAX_LISTINGS);
        await store.askedJobs(idsOf(early), { settled: false, suspects, inMs: LIST_AGAIN_MS / timeScale });
        // Like a stuck job: what isn't there can't be sent again, and the place stays taken, as long as one may run.
        const rarely = { settled: false, suspects, inMs: STUCK_POLL_GAP_MS / timeScale, mayRunOn: true };
        await store.askedJobs(idsOf(late), rarely);
      },
    });
    if (settled.size === 0) return end;
    await this.#show([...settled], jobs, knownJobIds);
    for (const bulk of settled) await this.#settled(bulk);
    return end;
  }

  /** No job can change anything of it any more: what is still open of it is asked for; with nothing open it is over. */
  async #settled({ callId, sends }: UnlistedBulk): Promise<void> {
    const { account, store } = this.tools;
    const open = await store.itemsOf(callId);
    if (open.length === 0)
      await store.record({ account, callId, sends, answer: null, next: { to: 'settled' }, effects: [] });
    else await store.askedJobs([callId], { settled: true, suspects: null, inMs: 0, itemsInMs: this.#askInMs(open) });
  }

  /** Finishes what tickets made by jobs of unknown origin prove, by their external ids. */
  async #show(
    bulks: readonly UnlistedBulk[],
    jobs: readonly JobStatus[],
    knownJobIds: ReadonlySet<string>,
  ): Promise<void> {
    const { account, store, maker, newId } = this.tools;
    const items = await Promise.all(bulks.map(({ callId }) => store.itemsOf(callId)));
    const makes = items.map((of) => of.filter(({ ticketId }) => ticketId === null));
    for (const [i, { callId }] of bulks.entries()) this.#noteHint(callId, items[i]!, jobs, knownJobIds);
    const ids = ticketsToShow(
      jobs,
      knownJobIds,
      makes.map(({ length }) => length).filter((length) => length > 0),
    );
    if (ids.length === 0) return;
    await maker.make({
      callId: newId(),
      kind: 'tickets.list',
      keys: [],
      priority: mostUrgent(bulks.map(({ priority }) => priority)),
      effect: false,
      about: { writer: 'batch', bulks: bulks.length, tickets: ids.length },
      claim: async () => {
        await store.countRead(account, 'tickets.list');
        return showTickets(ids);
      },
      record: async (made) => {
        if (made.made !== 'answered' || made.verdict.verdict !== 'done') return;
        const shown = new Map((ticketsIn(made.response.body) ?? []).map(({ id, externalId }) => [externalId, id]));
        for (const [i, { callId, sends }] of bulks.entries()) {
          const effects = makes[i]!.flatMap(({ index, interactionId, externalId }): ItemEffectAt[] => {
            const ticketId = shown.get(externalId);
            return ticketId === undefined ? [] : [{ index, interactionId, effect: { effect: 'done', ticketId } }];
          });
          if (effects.length > 0)
            await store.record({
              account,
              callId,
              sends,
              answer: null,
              next: { to: 'settled', mayRunOn: true },
              effects,
            });
        }
      },
    });
  }

  #noteHint(
    callId: string,
    items: readonly StoredItem[],
    jobs: readonly JobStatus[],
    knownJobIds: ReadonlySet<string>,
  ): void {
    const ticketIds = items.flatMap(({ ticketId }) => ticketId ?? []);
    const job = ticketIds.length === items.length ? jobOfTickets(jobs, knownJobIds, ticketIds) : null;
    if (!job) return;
    if (this.#hints.size >= MAX_HINTS) this.#hints.clear();
    this.#hints.set(callId, job);
  }

  #inputFor(item: Pick<StoredItem, 'commands' | 'attempts'>, made: MadeCall): EffectInput {
    return made.made === 'unsent' ? this.#input(item, false, 0) : this.#input(item, made.own, made.underWayForMs);
  }

  #input(
    { commands, attempts }: Pick<StoredItem, 'commands' | 'attempts'>,
    own: boolean,
    underWayForMs: number,
  ): EffectInput {
    const { timeScale, random } = this.tools;
    return { commands, attempts, own, timeScale, random: random(), underWayForMs };
  }
}

/** What a submission that began no job means for each of its items. */
function effectOfMade(made: MadeCall, input: EffectInput): ItemEffect {
  switch (made.made) {
    case 'unsent':
      return { effect: 'waiting', inMs: 0, attempts: input.attempts, solo: false, code: made.reason };
    case 'lost':
      return { effect: 'unknown', code: made.reason, askInMs: made.underWayForMs, own: made.own };
    case 'answered':
      return effectOfSubmission(made.verdict, input);
    default:
      return made satisfies never;
  }
}

/** A question that failed while others were answered. */
function isOwnFailure(made: Exclude<MadeCall, { made: 'unsent' }>): boolean {
  if (made.made === 'lost') return made.own;
  return made.own && ['retryAfter', 'unknown'].includes(made.verdict.verdict);
}

function idsOf(bulks: readonly UnlistedBulk[]): string[] {
  return bulks.map(({ callId }) => callId);
}

function answerOf(made: MadeCall): CallRecord['answer'] {
  return made.made === 'answered' ? { status: made.response.status, body: made.raw } : null;
}

function bodyOf(made: Extract<MadeCall, { made: 'answered' }>): unknown {
  return made.response.body.type === 'json' ? made.response.body.value : null;
}
