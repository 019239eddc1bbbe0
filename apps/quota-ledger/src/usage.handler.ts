import {
  type AccountName,
  isoOf,
  type PlaceTaken,
  type Rejected,
  type Unavailable,
  type UsageAnswer,
  type UsageRow,
} from '#contracts';
import type { UsageQuery } from './domain/parse-requests.js';
import { bucketsAt, type Hold } from './domain/books.js';
import { standings } from './domain/standing.js';
import type { CountedCalls, LedgerStore } from './ledger.store.js';
import type { QuotaHandler } from './quota.handler.js';

/** Most rows of one answer; who wants more asks for a shorter span. */
export const MAX_USAGE_ROWS = 5_000;
/** Most places listed of one limit, the oldest first: those are the ones that somebody forgot. */
const MAX_PLACES_TOLD = 100;
const MINUTES_PER_HOUR = 60;

/** Answers how many calls each integration used, and how the limits stand. */
export class UsageHandler {
  constructor(private readonly quota: QuotaHandler) {}

  async usage(
    account: AccountName,
    query: UsageQuery,
    store: Pick<LedgerStore, 'usage'>,
  ): Promise<UsageAnswer | Rejected | Unavailable> {
    const books = this.quota.booksOf(account);
    if (!books) return this.quota.noBooks(account);
    const nowMs = this.quota.nowMs();
    const { timing } = books;
    const fromMs = query.from ?? bucketsAt(timing, nowMs).day;
    const toMs = query.to ?? nowMs + 1;
    const hourMs = timing.minuteMs * MINUTES_PER_HOUR;
    const toPlace = ({ id: holdId, grantId, integration, takenAt }: Hold): PlaceTaken => {
      return { holdId, grantId, integration, takenAgoMs: Math.max(0, nowMs - takenAt) };
    };
    // The bucket in which the span begins belongs to it.
    const bucketMs = query.per === 'hour' ? hourMs : timing.minuteMs;
    const firstMs = query.per === 'day' ? timing.dayStartAt(fromMs) : Math.floor(fromMs / bucketMs) * bucketMs;
    const { per, integration } = query;
    const limitRows = MAX_USAGE_ROWS + 1;
    const rows = await store.usage({ account, per, integration, fromMs: firstMs, toMs, hourMs, limitRows });
    if (rows.length > MAX_USAGE_ROWS)
      return reject('too_many_rows', `more than ${MAX_USAGE_ROWS} rows; ask for a shorter span or a longer per`);
    return {
      answer: 'usage',
      per,
      rows: rows.map(rowOf),
      limits: standings(books, nowMs, null),
      holds: books.holds.map(({ limit, taken }) => ({
        limit: limit.name,
        max: limit.max,
        taken: taken.size,
        places: [...taken.values()]
          .toSorted((a, b) => a.takenAt - b.takenAt)
          .slice(0, MAX_PLACES_TOLD)
          .map(toPlace),
      })),
    };
  }
}

function rowOf({ integration, startsAt, ...counts }: CountedCalls): UsageRow {
  return { integration, startsAt: isoOf(startsAt), crmRefused: 0, wouldRefuse: 0, ...counts };
}

function reject(code: string, message: string): Rejected {
  return { answer: 'rejected', code, message };
}
