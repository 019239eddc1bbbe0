import { Controller, Param, Post, Req, Res } from '@nestjs/common';
import { INGEST_FEEDS, type IngestFeed } from '#contracts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { accountOf, CCAI_ROUTE } from './ccai.http-gate.js';
import { type Delivery, IngestHandler, nothingAccepted } from './ingest.handler.js';
import { HttpRefusal } from './http.errors.js';
import { parseJson, traceparentOf } from './json-body.js';

/**
 * CCAI's webhooks. By the time a body is here, its sender is known (`guardCcaiDoor`) and it is bounded, but not yet
 * parsed: what a body must look like is decided once, for all doors, in `domain/`.
 */
@Controller()
export class CcaiController {
  constructor(private readonly ingest: IngestHandler) {}

  @Post(CCAI_ROUTE)
  async take(
    @Param('feed') feed: IngestFeed,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const account = accountOf(request);
    if (!INGEST_FEEDS.includes(feed)) throw new HttpRefusal('not_found');
    const body = parseJson(request.body);
    if (!body.ok) throw new HttpRefusal('malformed_json');
    const traceparent = traceparentOf(request.headers['traceparent']);
    const delivery: Delivery = { account, feed, door: 'http', body: body.value, traceparent };
    const taken = await this.ingest.take(delivery);
    switch (taken.kind) {
      case 'taken':
        if (nothingAccepted(taken.receipt)) throw new HttpRefusal('nothing_accepted', undefined, null, taken.receipt);
        // A text of our own: Fastify would look for a schema and serialise more slowly.
        await reply
          .status(202)
          .header('content-type', 'application/json; charset=utf-8')
          .send(JSON.stringify(taken.receipt));
        return;
      case 'refused':
        throw new HttpRefusal(taken.code, taken.message);
      case 'unavailable':
        throw new HttpRefusal(taken.code, taken.message, taken.retryInMs);
      default:
        taken satisfies never;
    }
  }
}
