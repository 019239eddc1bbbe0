import type { AccountName, ForecastAnswer, ForecastRequest } from '#contracts';
import { forecast } from './domain/forecast.js';
import type { QuotaHandler } from './quota.handler.js';

/** Answers when calls would be had. */
export class ForecastHandler {
  constructor(private readonly quota: QuotaHandler) {}

  forecast(account: AccountName, request: ForecastRequest): ForecastAnswer {
    const books = this.quota.booksOf(account);
    return books ? forecast(books, request, this.quota.nowMs()) : this.quota.noBooks(account);
  }
}
