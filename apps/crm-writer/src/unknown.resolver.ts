import type { CallKind } from '#contracts';
import type { CallEnd, MadeCall } from './call.maker.js';
import { effectOfItem, effectOfResolution } from './domain/effect.js';
import { type JobStatus, judgeJob } from './domain/judge-job.js';
import {
  exportFromSeconds,
  isUntouchedSince,
  type ListedTicket,
  MAX_EXPORT_PAGES,
  type Question,
  questionFor,
  resolveByAudits,
  resolveByTickets,
  type Resolution,
} from './domain/resolve-unknown.js';
import { mostUrgent } from './domain/write.js';
import type { WriterTools } from './single.writer.js';
import type { ItemToAsk, StoredRequest } from './write.store.js';
import { auditsIn, exportEndIn, ticketsIn } from './zendesk/answers.js';
import { exportTickets, listByExternalId, readAudits, showTickets } from './zendesk/requests.js';

/** How soon an item is asked about again where the CRM gave no answer that decides, its own time; doubled with each question. */
const ASK_AGAIN_MS = 5_000;
const LONGEST_WAIT_TO_ASK_MS = 120_000;

type ExportPage = Parameters<typeof exportTickets>[0];

/** Finds out what became of calls without an answer by asking the CRM: item by item, or for many at once where that is cheaper. */
export class UnknownResolver {
  constructor(private readonly tools: WriterTools) {}

  async resolve(item: ItemToAsk, callId: string): Promise<CallEnd> {
    const question = questionFor(item);
    if (question.ask === 'nothing') {
      await this.#store(item, question.so);
      return 'made';
    }
    return this.#ask(item, question, callId);
  }

  /**
   * Looks for many tickets in one export of what changed since the first of them was sent. Sound only where nothing of them can change any
   * more since longer than the export lags behind. Where it doesn't tell everything, each is asked for by itself.
   */
  async resolveByExport(items: readonly ItemToAsk[], callId: string): Promise<CallEnd> {
    const { maker, timeScale, newId } = this.tools;
    const crmNowMs = maker.crmNowMs();
    if (crmNowMs === null) return this.#askSingly(items);
    const longestAgoMs = Math.max(...items.map(({ firstSentAgoMs }) => firstSentAgoMs));
    const found: ListedTicket[] = [];
    let from: ExportPage | null = {
      seconds: exportFromSeconds(crmNowMs - longestAgoMs * timeScale),
    };
    let end: CallEnd = 'made';
    for (let page = 0; from !== null && page < MAX_EXPORT_PAGES; page += 1) {
      let next: ExportPage | null | undefined;
      const id = page === 0 ? callId : newId();
      end = await this.#askForMany(items, id, 'tickets.export', exportTickets(from), (made) => {
        const tickets = ticketsIn(made.response.body);
        const told = exportEndIn(made.response.body);
        if (tickets === null || told === null) return;
        found.push(...tickets);
        next = told.cursor === null ? null : { cursor: told.cursor };
      });
      if (typeof end === 'object' || end === 'held' || end === 'unrecorded') return end;
      if (next === undefined) break;
      from = next;
    }
    if (from !== null) return this.#askSingly(items);
    for (const item of items) await this.#store(item, resolveByTickets(item, this.#inCrmTime(item), found));
    return end;
  }

  /**
   * Looks at the tickets of many changes in doubt: one that nobody has touched since before the change was sent can't hold it. Touched
   * ones are asked for by themselves.
   */
  async resolveByLook(items: readonly ItemToAsk[], callId: string): Promise<CallEnd> {
    const { clock, timeScale } = this.tools;
    const selectedAtMonoMs = clock.monotonicMs();
    const ids = [...new Set(items.flatMap(({ ticketId }) => ticketId ?? []))];
    const untouched = new Set<number>();
    const end = await this.#askForMany(items, callId, 'tickets.list', showTickets(ids), (made) => {
      const crmNowMs = Date.parse(made.response.headers['date'] ?? '');
      const sinceMs = clock.monotonicMs() - selectedAtMonoMs;
      for (const { id, updatedAtMs } of ticketsIn(made.response.body) ?? [])
        for (const item of items)
          if (item.ticketId === id) {
            const sentAtMs = crmNowMs - (item.firstSentAgoMs + sinceMs) * timeScale;
            if (isUntouchedSince(updatedAtMs, sentAtMs)) untouched.add(id);
          }
    });
    if (typeof end === 'object' || end === 'held' || end === 'unrecorded') return end;
    const [certain, others] = [true, false].map((so) =>
      items.filter(({ ticketId }) => untouched.has(ticketId!) === so),
    );
    for (const item of certain!) await this.#store(item, { resolution: 'planAgain' });
    await this.#askSingly(others!);
    return end;
  }

  /**
   * A job of unknown origin that told of exactly these changes' tickets: where one of them carries our mark, the request did arrive, and
   * that job is it; its results hold for all.
   */
  async resolveByResults(items: readonly ItemToAsk[], job: JobStatus, callId: string): Promise<CallEnd> {
    const verdict = judgeJob(job, items);
    const told = verdict.job === 'over' ? verdict.items : [];
    const shown = told.find(({ verdict: said }) => said.verdict === 'done')?.index;
    const first = items.find(({ index }) => index === shown);
    if (!first || first.ticketId === null) return this.#askSingly(items);
    let marked = false;
    const end = await this.#askForMany([first], callId, 'tickets.audits', readAudits(first.ticketId, null), (made) => {
      const page = auditsIn(made.response.body);
      marked = page !== null && resolveByAudits(first, page).resolution === 'done';
    });
    if (typeof end === 'object' || end === 'held' || end === 'unrecorded') return end;
    if (!marked) return this.#askSingly(items);
    const { account, store, timeScale, random } = this.tools;
    const byIndex = new Map(items.map((item) => [item.index, item]));
    const effects = told.flatMap(({ index, verdict: said }) => {
      const { interactionId, commandIds, attempts, own } = byIndex.get(index)!;
      const input = { commands: commandIds.length, attempts, own, timeScale, random: random(), underWayForMs: 0 };
      return said.verdict === 'unknown' ? [] : [{ index, interactionId, effect: effectOfItem(said, input) }];
    });
    await store.record({
      account,
      callId: first.callId,
      sends: first.sends,
      answer: null,
      next: { to: 'settled', mayRunOn: first.mayStillRun },
      effects,
    });
    return end;
  }

  /** One question about many; `learn` is told only an answer that is one. */
  #askForMany(
    items: readonly ItemToAsk[],
    callId: string,
    kind: CallKind,
    request: StoredRequest,
    learn: (made: Extract<MadeCall, { made: 'answered' }>) => void,
  ): Promise<CallEnd> {
    const { account, store, maker } = this.tools;
    return maker.make({
      callId,
      kind,
      keys: [],
      priority: mostUrgent(items.map(({ priority }) => priority)),
      effect: false,
      about: { asksForItems: items.length },
      claim: async () => {
        await store.countRead(account, kind);
        return request;
      },
      record: (made) => {
        if (made.made === 'answered' && made.verdict.verdict === 'done') learn(made);
        return Promise.resolve();
      },
    });
  }

  /** What asking for many didn't decide: each counts as asked once, so that it is asked for by itself from now on. */
  async #askSingly(items: readonly ItemToAsk[]): Promise<CallEnd> {
    for (const { callId, index } of items)
      await this.tools.store.askedItem(callId, index, { cursor: null, inMs: 0, counted: true });
    return 'made';
  }

  /** The CRM keeps keys by its own time. */
  #inCrmTime(item: ItemToAsk): ItemToAsk {
    return { ...item, firstSentAgoMs: item.firstSentAgoMs * this.tools.timeScale };
  }

  #ask(item: ItemToAsk, question: Exclude<Question, { ask: 'nothing' }>, callId: string): Promise<CallEnd> {
    const { account, store, maker } = this.tools;
    const kind: CallKind = question.ask === 'audits' ? 'tickets.audits' : 'tickets.list';
    return maker.make({
      callId,
      kind,
      keys: [],
      priority: item.priority,
      effect: false,
      about: { asksFor: item.callId, interactionId: item.interactionId, asks: item.asks + 1 },
      claim: async () => {
        await store.countRead(account, kind);
        return question.ask === 'audits'
          ? readAudits(question.ticketId, question.cursor)
          : listByExternalId(question.externalId);
      },
      record: (made) => this.#record(item, question, made),
    });
  }

  async #record(item: ItemToAsk, question: Question, made: MadeCall): Promise<void> {
    const { store, timeScale } = this.tools;
    const inMs = Math.min(ASK_AGAIN_MS * 2 ** Math.min(item.asks, 30), LONGEST_WAIT_TO_ASK_MS) / timeScale;
    // A question that fails while others are answered counts as asked, so that it comes to an end.
    const own = made.made !== 'unsent' && made.own;
    if (made.made !== 'answered') {
      await store.askedItem(item.callId, item.index, { cursor: item.cursor, inMs, counted: own });
      return;
    }
    if (made.verdict.verdict === 'park') {
      const { code, text } = made.verdict;
      await this.#store(item, { resolution: 'park', code, text });
      return;
    }
    const resolution = made.verdict.verdict === 'done' ? resolutionOf(this.#inCrmTime(item), question, made) : null;
    if (resolution === null) {
      const failed = made.verdict.verdict === 'retryAfter' || made.verdict.verdict === 'unknown';
      const counted = made.verdict.verdict === 'done' || (failed && own);
      await store.askedItem(item.callId, item.index, { cursor: item.cursor, inMs, counted });
      return;
    }
    await this.#store(item, resolution);
  }

  async #store(item: ItemToAsk, resolution: Resolution): Promise<void> {
    const { account, store, maker, timeScale, random } = this.tools;
    const { callId, sends, index, interactionId, attempts, items } = item;
    // What failed while the CRM failed for everybody was no failure of its own.
    const own = item.own && !maker.failedForAll(item.firstSentAgoMs);
    const base = { account, callId, sends, answer: null };
    if (resolution.resolution === 'askMore') {
      await store.askedItem(callId, index, { cursor: resolution.cursor, inMs: 0, counted: true });
      return;
    }
    const commands = item.commandIds.length;
    const input = { commands, attempts, items, own, timeScale, random: random(), underWayForMs: 0 };
    const effect = effectOfResolution(resolution, input);
    if (effect === null) await store.record({ ...base, next: { to: 'again', inMs: 0 }, effects: [] });
    else
      await store.record({
        ...base,
        next: { to: 'settled', mayRunOn: item.mayStillRun },
        effects: [{ index, interactionId, effect }],
      });
  }
}

function resolutionOf(
  item: ItemToAsk,
  question: Question,
  made: Extract<MadeCall, { made: 'answered' }>,
): Resolution | null {
  if (question.ask === 'audits') {
    const page = auditsIn(made.response.body);
    return page === null ? null : resolveByAudits(item, page);
  }
  const tickets = ticketsIn(made.response.body);
  return tickets === null ? null : resolveByTickets(item, item, tickets);
}
