import { Controller } from '@nestjs/common';
import { Ctx, MessagePattern, Payload } from '@nestjs/microservices';
import type { AccountName, IngestFeed } from '#contracts';
import { RequestContext } from '#jetstream';
import { Accounts } from './account.directory.js';
import { IngestHandler, nothingAccepted, type Receipt } from './ingest.handler.js';
import { bodiesRefused } from './ingest.metrics.js';
import { traceparentOf } from './json-body.js';

/** The answer over NATS: the receipt that HTTP gives with 202, or why there is none. */
export type NatsAnswer =
  | ({ readonly answer: 'taken' } & Receipt)
  | { readonly answer: 'rejected'; readonly code: string; readonly message: string }
  | {
      readonly answer: 'unavailable';
      readonly code: string;
      readonly message: string;
      readonly retryInMs: number;
    };

const ACCOUNTS_RETRY_MS = 5_000;

/**
 * The same bodies over NATS request/reply, `ingest.v1.<account>.ccai.<feed>`. Who sends is settled by the server: a user
 * may publish only under its own account and integration.
 */
@Controller()
export class CcaiNatsDoor {
  constructor(
    private readonly ingest: IngestHandler,
    private readonly accounts: Accounts,
  ) {}

  @MessagePattern<string>('ingest.v1.*.ccai.calls')
  calls(@Payload() body: unknown, @Ctx() context: RequestContext): Promise<NatsAnswer> {
    return this.#take('calls', body, context);
  }

  @MessagePattern<string>('ingest.v1.*.ccai.chats')
  chats(@Payload() body: unknown, @Ctx() context: RequestContext): Promise<NatsAnswer> {
    return this.#take('chats', body, context);
  }

  @MessagePattern<string>('ingest.v1.*.ccai.metadata')
  metadata(@Payload() body: unknown, @Ctx() context: RequestContext): Promise<NatsAnswer> {
    return this.#take('metadata', body, context);
  }

  async #take(feed: IngestFeed, body: unknown, { tokens, headers }: RequestContext): Promise<NatsAnswer> {
    const account: AccountName = tokens[2] ?? '';
    const answer = await this.#answer(account, feed, body, traceparentOf(headers?.get('traceparent')));
    if (answer.answer !== 'taken') bodiesRefused.inc({ door: 'nats', code: answer.code });
    return answer;
  }

  async #answer(
    account: AccountName,
    feed: IngestFeed,
    body: unknown,
    traceparent: string | null,
  ): Promise<NatsAnswer> {
    const trouble = this.accounts.trouble();
    if (trouble !== null)
      return { answer: 'unavailable', code: 'accounts_not_loaded', message: trouble, retryInMs: ACCOUNTS_RETRY_MS };
    if (!this.accounts.takesEvents(account))
      return { answer: 'rejected', code: 'unknown_account', message: 'no such account, or it takes no events' };
    const taken = await this.ingest.take({ account, feed, door: 'nats', body, traceparent });
    switch (taken.kind) {
      case 'taken':
        if (nothingAccepted(taken.receipt)) bodiesRefused.inc({ door: 'nats', code: 'nothing_accepted' });
        return { answer: 'taken', ...taken.receipt };
      case 'refused':
        return { answer: 'rejected', code: taken.code, message: taken.message };
      case 'unavailable':
        return { answer: 'unavailable', code: taken.code, message: taken.message, retryInMs: taken.retryInMs };
      default:
        return taken satisfies never;
    }
  }
}
