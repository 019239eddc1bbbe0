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
import type { Hold } from './domain/books.js';
import { whoWaits } from './domain/forecast.js';
import { foreignStandings, shareStandings } from './domain/share-standing.js';
import { standings } from './domain/standing.js';
import type { UsageRowCounts } from './domain/usage.js';
import { NotTheOwner, type QuotaHandler, UNAVAILABLE } from './quota.handler.js';

/** Most rows of one answer; who wants more asks for a shorter span. */
export const MAX_USAGE_ROWS = 5_000;
/** Most places listed of one limit, the oldest first: those are the ones that somebody forgot. */
const MAX_PLACES_TOLD = 100;
const MINUTES_PER_HOUR = 60;

/** Answers how many calls each integration used, and how the limits, shares and those who wait stand now. */
export class UsageHandler {
  constructor(private readonly quota: QuotaHandler) {}

  async usage(account: AccountName, query: UsageQuery): Promise<UsageAnswer | Rejected | Unavailable> {
    const books = this.quota.booksOf(account);
    if (!books) return this.quota.noBooks(account);
    const nowMs = this.quota.nowMs();
    const { timing } = books;
    const fromMs = query.from ?? timing.dayStartAt(nowMs);
    const toMs = query.to ?? nowMs + 1;
    const toPlace = ({ id: holdId, grantId, integration, takenAt }: Hold): PlaceTaken => {
      return { holdId, grantId, integration, takenAgoMs: Math.max(0, nowMs - takenAt) };
    };
    const { per, integration } = query;
    const lengthMs = per === 'hour' ? timing.minuteMs * MINUTES_PER_HOUR : timing.minuteMs;
    const bucketOf = (at: number): number =>
      per === 'day' ? timing.dayStartAt(at) : Math.floor(at / lengthMs) * lengthMs;
    // The bucket in which the span begins belongs to it.
    const span = { account, per, integration, fromMs: bucketOf(fromMs), toMs, limitRows: MAX_USAGE_ROWS + 1 };
    const rows = await this.quota
      .usage(
        account,
        (store) => store.usage(span),
        bucketOf,
        (row) => isWithin(row, span, bucketOf),
      )
      .catch((error: unknown) => {
        if (error instanceof NotTheOwner) return null;
        throw error;
      });
    if (!rows) return UNAVAILABLE;
    if (rows.length > MAX_USAGE_ROWS)
      return reject('too_many_rows', `more than ${MAX_USAGE_ROWS} rows; ask for a shorter span or a longer per`);
    return {
      answer: 'usage',
      per,
      mode: books.config.quota.mode,
      rows: rows.toSorted((a, b) => a.startsAt - b.startsAt || (a.integration < b.integration ? -1 : 1)).map(rowOf),
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
      shares: shareStandings(books, nowMs),
      foreign: foreignStandings(books, nowMs),
      waiting: whoWaits(books),
    };
  }
}

function isWithin(
  { integration, startsAt }: UsageRowCounts,
  span: { readonly integration: string | null; readonly fromMs: number; readonly toMs: number },
  bucketOf: (at: number) => number,
): boolean {
  if (span.integration !== null && span.integration !== integration) return false;
  const bucket = bucketOf(startsAt);
  return bucket >= span.fromMs && bucket < span.toMs;
}

function rowOf({ integration, startsAt, ...counts }: UsageRowCounts): UsageRow {
  return { integration, startsAt: isoOf(startsAt), ...counts };
}

function reject(code: string, message: string): Rejected {
  return { answer: 'rejected', code, message };
}
