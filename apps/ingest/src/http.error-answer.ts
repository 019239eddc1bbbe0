import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException, Inject } from '@nestjs/common';
import type { Log } from '#telemetry';
import type { FastifyReply } from 'fastify';
import { HttpRefusal } from './http.errors.js';
import { bodiesRefused } from './ingest.metrics.js';
import { LOG } from './ingest.tokens.js';

/** How long a sender should wait where nothing better is known. */
const RETRY_MS = 5_000;

/** Answers every failed request as `{"error": {"code", "message"}}`, with `Retry-After` where sending again helps. */
@Catch()
export class HttpErrorAnswer implements ExceptionFilter {
  constructor(@Inject(LOG) private readonly log: Log) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const refusal = refusalOf(error);
    if (refusal.code === 'internal_error') this.log.error('a request failed', { error });
    sendRefusal(http.getResponse<FastifyReply>(), refusal);
  }
}

/** Sends a refusal; used by the hooks that run before Nest sees a request, too. */
export function sendRefusal(reply: FastifyReply, refusal: HttpRefusal): void {
  bodiesRefused.inc({ door: 'http', code: refusal.code });
  if (refusal.status === 401) void reply.header('www-authenticate', 'Basic realm="sluice", charset="UTF-8"');
  if (refusal.status === 503)
    void reply.header('retry-after', String(Math.ceil((refusal.retryInMs ?? RETRY_MS) / 1_000)));
  void reply
    .status(refusal.status)
    .header('content-type', 'application/json; charset=utf-8')
    .send(JSON.stringify({ error: { code: refusal.code, message: refusal.message }, ...refusal.details }));
}

/** Nest and Fastify have errors of their own for what they find before our code runs. */
function refusalOf(error: unknown): HttpRefusal {
  if (error instanceof HttpRefusal) return error;
  const status = error instanceof HttpException ? error.getStatus() : (error as { statusCode?: unknown }).statusCode;
  switch (status) {
    case 404:
      return new HttpRefusal('not_found');
    case 413:
      return new HttpRefusal('body_too_large');
    case 415:
      return new HttpRefusal('wrong_content_type');
    default:
      return new HttpRefusal(
        typeof status === 'number' && status >= 400 && status < 500 ? 'bad_request' : 'internal_error',
      );
  }
}
