import { isUtf8 } from 'node:buffer';
import { Controller, Get, Inject, Param, Post, Req, Res } from '@nestjs/common';
import type { NatsConnection } from '@nats-io/transport-node';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { QUOTA_VERBS, type QuotaVerb, type Rejected, subjects, type Unavailable } from '#contracts';
import { NATS } from '#jetstream';
import { natsTransport, type QuotaTransport } from '#quota-client';
import { ACCOUNT_ROUTE, INTEGRATION_ROUTE, sendAnswer, speakerOf } from './quota.http-gate.js';

/** For an answer over NATS, beside the time that a request may wait for its turn. */
const ANSWER_WITHIN_MS = 5_000;
/** The longest that the ledger lets a request wait. */
const LONGEST_WAIT_MS = 600_000;
/** Requests being answered at once, most of them waiting for their turn. */
const MAX_IN_FLIGHT = 4_096;
const ASK_AGAIN_MS = 1_000;

/**
 * The quota protocol over HTTP, for those who have no NATS: the same bodies, the same answers. Each request goes on over NATS,
 * so that any replica can take it, whichever of them owns the ledger. By the time a body is here, its sender is known
 * (`guardQuotaDoor`).
 */
@Controller()
export class QuotaController {
  readonly #ledger: QuotaTransport;
  #inFlight = 0;

  constructor(@Inject(NATS) nc: NatsConnection) {
    this.#ledger = natsTransport(nc);
  }

  @Post(INTEGRATION_ROUTE)
  async verb(@Param('verb') verb: string, @Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const speaker = speakerOf(request);
    if (!speaker) return sendAnswer(reply, BAD_CREDENTIALS);
    if (!isVerb(verb)) return sendAnswer(reply, NOT_FOUND);
    const body = objectIn(request.body);
    if (!body) return sendAnswer(reply, MALFORMED);
    const subject = subjects.quota(speaker.account, speaker.integration, verb);
    sendAnswer(reply, await this.#ask(subject, body, verb === 'acquire' ? waitMsOf(body) : 0));
  }

  @Post(ACCOUNT_ROUTE)
  async post(@Param('asked') asked: string, @Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const body = objectIn(request.body);
    if (!body) return sendAnswer(reply, speakerOf(request) ? MALFORMED : BAD_CREDENTIALS);
    await this.#look(asked, body, request, reply);
  }

  @Get(ACCOUNT_ROUTE)
  async get(@Param('asked') asked: string, @Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const query = request.query as Readonly<Record<string, unknown>>;
    const { calls, ...rest } = query;
    await this.#look(asked, calls === undefined ? rest : { ...rest, calls: Number(calls) }, request, reply);
  }

  async #look(asked: string, body: object, request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const speaker = speakerOf(request);
    if (!speaker) return sendAnswer(reply, BAD_CREDENTIALS);
    const { account, integration } = speaker;
    switch (asked) {
      case 'usage':
        return sendAnswer(reply, await this.#ask(subjects.usage(account), body));
      case 'forecast':
        return sendAnswer(reply, await this.#ask(subjects.forecast(account), { integration, ...body }));
      default:
        return sendAnswer(reply, NOT_FOUND);
    }
  }

  async #ask(subject: string, body: object, waitMs = 0): Promise<unknown> {
    if (this.#inFlight >= MAX_IN_FLIGHT) return OVERLOADED;
    this.#inFlight += 1;
    try {
      const heard = await this.#ledger.ask(subject, body, ANSWER_WITHIN_MS + waitMs);
      switch (heard.heard) {
        case 'answer':
          return heard.answer;
        case 'nobody':
          return NOBODY;
        case 'silence':
        case 'forbidden':
          return SILENCE;
        default:
          return heard satisfies never;
      }
    } finally {
      this.#inFlight -= 1;
    }
  }
}

function isVerb(verb: string): verb is QuotaVerb {
  return (QUOTA_VERBS as readonly string[]).includes(verb);
}

/** What is wrong with the fields is for the ledger to say. */
function objectIn(body: unknown): Record<string, unknown> | null {
  if (!Buffer.isBuffer(body) || !isUtf8(body)) return null;
  try {
    const value = JSON.parse(body.toString('utf8')) as unknown;
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}

function waitMsOf({ waitMs }: Readonly<Record<string, unknown>>): number {
  return typeof waitMs === 'number' && waitMs > 0 ? Math.min(waitMs, LONGEST_WAIT_MS) : 0;
}

function rejected(code: string, message: string): Rejected {
  return { answer: 'rejected', code, message };
}

function unavailable(code: string, message: string): Unavailable {
  return { answer: 'unavailable', code, message, retryInMs: ASK_AGAIN_MS };
}

const BAD_CREDENTIALS = rejected('bad_credentials', 'unknown account or integration, or wrong user name or password');
const NOT_FOUND = rejected(
  'not_found',
  `POST /v1/accounts/<account>/integrations/<integration>/<verb>, or GET …/usage`,
);
const MALFORMED = rejected('malformed_json', 'the body is not a JSON object in UTF-8');
const OVERLOADED = unavailable('overloaded', `more than ${MAX_IN_FLIGHT} requests are being answered`);
const NOBODY = unavailable(
  'unavailable',
  'no process owns the ledger at the moment; ask again with the same requestId',
);
const SILENCE = unavailable('unavailable', 'the ledger gave no answer; ask again with the same requestId');
