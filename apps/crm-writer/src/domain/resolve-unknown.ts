import { isRunning, type JobStatus } from './judge-job.js';

/** How long Zendesk keeps an Idempotency-Key (docs/zendesk.md), with a quarter of an hour off for clocks and waiting. */
export const KEY_KEPT_MS = 2 * 3_600_000 - 15 * 60_000;
/** How often the same bytes go again under the same key: a key may have kept a failure, and would repeat it for ever. */
export const MAX_SENDS_PER_KEY = 3;
/** Questions about one item (each page of a ticket's audits is one) before it is parked as undecided. */
export const MAX_ASKS_PER_ITEM = 40;

/** An item of a call whose outcome isn't known. */
export interface UnknownItem {
  readonly interactionId: string;
  readonly commandIds: readonly string[];
  /** Null = a ticket was to be made. */
  readonly ticketId: number | null;
  readonly followUpOf: number | null;
  readonly externalId: string;
  readonly hasComment: boolean;
  /** Its job may yet take effect: that it isn't there proves nothing. */
  readonly mayStillRun: boolean;
  readonly asks: number;
  /** Where the last page of audits ended; null = from the beginning. */
  readonly cursor: string | null;
}

/** The call it belongs to. */
export interface UnknownCall {
  readonly single: boolean;
  readonly sends: number;
  readonly firstSentAgoMs: number;
}

export type Question =
  | { readonly ask: 'ticketByExternalId'; readonly externalId: string }
  | { readonly ask: 'audits'; readonly ticketId: number; readonly cursor: string | null }
  /** Nothing to ask: sets of fields are the same twice. */
  | { readonly ask: 'nothing'; readonly so: Resolution };

export type Resolution =
  | { readonly resolution: 'done'; readonly ticketId: number }
  /** Not at the CRM, and the key still guards it: the very same bytes once more. */
  | { readonly resolution: 'sendSame' }
  /** Not at the CRM: its commands are planned again. */
  | { readonly resolution: 'planAgain' }
  | { readonly resolution: 'askMore'; readonly cursor: string }
  | { readonly resolution: 'park'; readonly code: string; readonly text: string };

/** What to ask the CRM about an item. */
export function questionFor(item: UnknownItem): Question {
  if (item.asks >= MAX_ASKS_PER_ITEM)
    return { ask: 'nothing', so: undecided(`asked ${MAX_ASKS_PER_ITEM} times without an answer that decides`) };
  if (item.ticketId === null) return { ask: 'ticketByExternalId', externalId: item.externalId };
  if (!item.hasComment) return { ask: 'nothing', so: absent(item) };
  return { ask: 'audits', ticketId: item.ticketId, cursor: item.cursor };
}

/**
 * Tickets listed by external id (an exact list from the database). The closed ticket that this one was to follow carries the same
 * external id and doesn't count; of several the oldest is taken, as the others can't be ours.
 */
export function resolveByTickets(item: UnknownItem, call: UnknownCall, tickets: readonly Named[]): Resolution {
  const ours = tickets
    .filter((ticket) => ticket.externalId === item.externalId && ticket.id > (item.followUpOf ?? 0))
    .map(({ id }) => id);
  if (ours.length > 0) return { resolution: 'done', ticketId: Math.min(...ours) };
  if (item.mayStillRun) return absent(item);
  const keyGuards = call.single && call.firstSentAgoMs < KEY_KEPT_MS && call.sends < MAX_SENDS_PER_KEY;
  return keyGuards ? { resolution: 'sendSame' } : { resolution: 'planAgain' };
}

type Named = Pick<ListedTicket, 'id' | 'externalId'>;

export interface ListedTicket {
  readonly id: number;
  readonly externalId: string | null;
  /** When it was last changed by anybody, by the CRM's clock, epoch ms; null = not told. */
  readonly updatedAtMs: number | null;
}

/** A page of a ticket's audits, each with the command ids that its metadata carries. */
export interface AuditPage {
  readonly marks: readonly (readonly string[])[];
  /** Cursor or page of what follows; null = this was the end. */
  readonly next: string | null;
}

/** Looks for the mark that every comment of ours carries. */
export function resolveByAudits(item: UnknownItem, page: AuditPage): Resolution {
  const ours = new Set(item.commandIds);
  if (item.ticketId !== null && page.marks.some((mark) => mark.some((id) => ours.has(id))))
    return { resolution: 'done', ticketId: item.ticketId };
  if (page.next === null) return absent(item);
  if (item.asks + 1 >= MAX_ASKS_PER_ITEM) return undecided('the ticket has more audits than are read');
  return { resolution: 'askMore', cursor: page.next };
}

/**
 * A bulk request without an answer: the CRM may have begun a job for it. These are the running ones that could be it, when the list is
 * read for the first time after the request can no longer be under way; what begins later can't be. Jobs that we know to belong to
 * other calls don't count.
 */
export function suspectJobs(jobs: readonly JobStatus[], knownOthers: ReadonlySet<string>): string[] {
  return jobs.filter(({ id, status }) => !knownOthers.has(id) && isRunning(status)).map(({ id }) => id);
}

/** True when all of them are told to be over, so that what the tickets show now is final. One that isn't told of may yet run. */
export function jobsSettled(
  jobs: readonly JobStatus[],
  suspects: readonly string[],
  knownOthers: ReadonlySet<string>,
): boolean {
  const over = new Set(jobs.filter(({ status }) => !isRunning(status)).map(({ id }) => id));
  return suspects.every((id) => over.has(id) || knownOthers.has(id));
}

/** Tickets shown by one call (Zendesk: show_many takes up to 100 ids). */
export const MAX_TICKETS_SHOWN = 100;

/**
 * The ids of tickets that jobs of unknown origin made, as far as they may be the ones that a bulk creation without an answer was to
 * make: jobs that are over and made as many as it holds. A hint where to look, not a proof; at most one call's worth.
 */
export function ticketsToShow(
  jobs: readonly JobStatus[],
  knownOthers: ReadonlySet<string>,
  sizes: readonly number[],
): number[] {
  const ids = jobs
    .filter((job) => !knownOthers.has(job.id) && !isRunning(job.status) && sizes.includes(job.results?.length ?? 0))
    .flatMap(({ results }) => results ?? [])
    .flatMap((result) => {
      const { index, id } = (result ?? {}) as { readonly index?: unknown; readonly id?: unknown };
      return typeof index === 'number' && typeof id === 'number' ? [id] : [];
    });
  return [...new Set(ids)].slice(0, MAX_TICKETS_SHOWN);
}

/**
 * The one job of unknown origin that is over and tells of exactly these tickets; null = none does, or several do. A hint only: somebody
 * else may have changed the same tickets.
 */
export function jobOfTickets(
  jobs: readonly JobStatus[],
  knownOthers: ReadonlySet<string>,
  ticketIds: readonly number[],
): JobStatus | null {
  const wanted = new Set(ticketIds);
  const alike = jobs.filter(({ id, status, results }) => {
    if (knownOthers.has(id) || isRunning(status) || results?.length !== wanted.size) return false;
    const told = results.map((result) => (result as { readonly id?: unknown } | null)?.id);
    return new Set(told).size === wanted.size && told.every((one) => typeof one === 'number' && wanted.has(one));
  });
  return alike.length === 1 ? alike[0]! : null;
}

/** Looked for and not found. While a job may still bring it, to write it again could double it. */
function absent({ mayStillRun }: Pick<UnknownItem, 'mayStillRun'>): Resolution {
  if (!mayStillRun) return { resolution: 'planAgain' };
  return {
    resolution: 'park',
    code: 'job_stuck',
    text: 'not at the CRM yet, and a job that never ended may still bring it',
  };
}

/** From so many tickets in doubt on, one export of what changed costs fewer calls than a look-up each. */
export const WORTH_AN_EXPORT = 10;
/** From so many changes in doubt on, one look at all their tickets is worth while. */
export const WORTH_A_LOOK = 3;
/**
 * Zendesk exports nothing of the last minute (docs/zendesk.md); with a quarter of it for clocks. An export told so long after the last
 * instant at which anything could still change tells of everything. The CRM's own time.
 */
export const EXPORT_LAG_MS = 75_000;
/** Pages of one export (1,000 tickets each); where more changed than that, each ticket is looked up. */
export const MAX_EXPORT_PAGES = 5;
/** What was sent longer ago than this is looked up singly: too much has changed since. */
const LONGEST_EXPORT_MS = 2 * 3_600_000;
/** The CRM's clocks may differ among each other by so much, its own time. */
const CRM_CLOCKS_MS = 10_000;

/** What of the doubts is resolved together; everything else is asked for one by one. Only what was never asked for before. */
export interface Together<T> {
  readonly byExport: readonly T[];
  readonly byLook: readonly T[];
  /** Will be worth an export, as soon as that tells of them: not asked for yet. */
  readonly later: readonly T[];
}

type InDoubt = UnknownItem & Pick<UnknownCall, 'single' | 'firstSentAgoMs'> & { readonly quietForMs: number };

/** Which items are worth asking for together. Their durations are our time, `timeScale` times shorter than the CRM's. */
export function askTogether<T extends InDoubt>(items: readonly T[], timeScale: number): Together<T> {
  const fresh = items.filter(({ asks, cursor, mayStillRun }) => asks === 0 && cursor === null && !mayStillRun);
  const makes = fresh.filter(
    ({ ticketId, firstSentAgoMs }) => ticketId === null && firstSentAgoMs * timeScale <= LONGEST_EXPORT_MS,
  );
  const isTold = ({ quietForMs }: T): boolean => quietForMs * timeScale >= EXPORT_LAG_MS;
  const told = makes.filter(isTold);
  // Jobs' tickets can wait a minute; one that was to be made singly is asked for at once.
  const later = makes.filter((item) => !item.single && !isTold(item));
  const changes = fresh.filter(({ ticketId, hasComment }) => ticketId !== null && hasComment);
  return {
    byExport: told.length >= WORTH_AN_EXPORT ? told : [],
    byLook: changes.length >= WORTH_A_LOOK ? changes.slice(0, MAX_TICKETS_SHOWN) : [],
    later: later.length >= WORTH_AN_EXPORT ? later : [],
  };
}

/**
 * Is it certain that nothing touched the ticket since? A comment always moves `updated_at`, so one that stands from before the call was
 * sent proves that the call took no effect. Instants of the CRM's clock, epoch ms.
 */
export function isUntouchedSince(updatedAtMs: number | null, sentAtMs: number): boolean {
  return updatedAtMs !== null && updatedAtMs < sentAtMs - CRM_CLOCKS_MS;
}

/** From when on to export so that all that a call sent then made is in it: the CRM's clock, epoch seconds. */
export function exportFromSeconds(sentAtMs: number): number {
  return Math.max(0, Math.floor((sentAtMs - EXPORT_LAG_MS) / 1_000));
}

function undecided(text: string): Resolution {
  return { resolution: 'park', code: 'undecided', text };
}
