import type { CallKind } from '#contracts';
import type { CallEnd, MadeCall } from './call.maker.js';
import { effectOfResolution } from './domain/effect.js';
import {
  type Question,
  questionFor,
  resolveByAudits,
  resolveByTickets,
  type Resolution,
} from './domain/resolve-unknown.js';
import type { WriterTools } from './single.writer.js';
import type { ItemToAsk } from './write.store.js';
import { auditsIn, ticketsIn } from './zendesk/answers.js';
import { listByExternalId, readAudits } from './zendesk/requests.js';

/** How soon an item is asked about again where the CRM gave no answer that decides, its own time; doubled with each question. */
const ASK_AGAIN_MS = 5_000;
const LONGEST_WAIT_TO_ASK_MS = 120_000;

/** Finds out what became of calls without an answer, item by item, by asking the CRM. */
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

  #ask(item: ItemToAsk, question: Exclude<Question, { ask: 'nothing' }>, callId: string): Promise<CallEnd> {
    const { account, store, maker, timeScale } = this.tools;
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
      // The CRM keeps keys by its own time.
      record: (made) => this.#record({ ...item, firstSentAgoMs: item.firstSentAgoMs * timeScale }, question, made),
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
    const resolution = made.verdict.verdict === 'done' ? resolutionOf(item, question, made) : null;
    if (resolution === null) {
      const failed = made.verdict.verdict === 'retryAfter' || made.verdict.verdict === 'unknown';
      const counted = made.verdict.verdict === 'done' || (failed && own);
      await store.askedItem(item.callId, item.index, { cursor: item.cursor, inMs, counted });
      return;
    }
    await this.#store(item, resolution);
  }

  async #store(item: ItemToAsk, resolution: Resolution): Promise<void> {
    const { account, store, timeScale, random } = this.tools;
    const { callId, sends, index, interactionId, attempts, own } = item;
    const base = { account, callId, sends, answer: null };
    if (resolution.resolution === 'askMore') {
      await store.askedItem(callId, index, { cursor: resolution.cursor, inMs: 0, counted: true });
      return;
    }
    const commands = item.commandIds.length;
    const input = { commands, attempts, own, timeScale, random: random(), underWayForMs: 0 };
    const effect = effectOfResolution(resolution, input);
    if (effect === null) await store.record({ ...base, next: { to: 'again', inMs: 0 }, effects: [] });
    else await store.record({ ...base, next: { to: 'settled' }, effects: [{ index, interactionId, effect }] });
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
