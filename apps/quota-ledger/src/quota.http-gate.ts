import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException, Logger } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Observable, throwError } from 'rxjs';
import type { Rejected, Unavailable } from '#contracts';
import { httpAnswer } from './domain/http-answer.js';
import { type Speaker } from './integration.credentials.js';
import { QuotaHttpUsers } from './quota.http-users.js';

/** Where the quota protocol is answered over HTTP. */
export const INTEGRATION_ROUTE = 'v1/accounts/:account/integrations/:integration/:verb';
export const ACCOUNT_ROUTE = 'v1/accounts/:account/:asked';
const ROUTES: readonly unknown[] = [`/${INTEGRATION_ROUTE}`, `/${ACCOUNT_ROUTE}`];

/** Below the megabyte that NATS lets through in one message. */
export const MAX_BODY_BYTES = 1_000_000;
const JSON_TYPE = /^application\/json(?:\s*;|\s*$)/i;
const RETRY_MS = 1_000;

/** Requests that passed the gate, and who sent them. */
const passed = new WeakMap<FastifyRequest, Speaker>();

/** Bodies come as bytes, and not before it is known whose they are. */
export function guardQuotaDoor(app: NestFastifyApplication): void {
  app.useBodyParser('application/json', { bodyLimit: MAX_BODY_BYTES }, (_request, body, done) => done(null, body));
  app.useGlobalFilters(new QuotaHttpErrors());
  const users = app.get(QuotaHttpUsers);
  const fastify = app.getHttpAdapter().getInstance();
  fastify.addHook('onRequest', (request: FastifyRequest, reply: FastifyReply, next: () => void) => {
    // By the route that was found, never by the URL's text.
    if (!ROUTES.includes(request.routeOptions.url)) return next();
    const speaker = speakerOrRefusal(users, request);
    if ('answer' in speaker) return sendAnswer(reply, speaker);
    passed.set(request, speaker);
    next();
  });
}

/** Who sent a request; null where it never passed the gate. */
export function speakerOf(request: FastifyRequest): Speaker | null {
  return passed.get(request) ?? null;
}

/** Sends an answer of the protocol: status, `Retry-After` and the answer itself as the body. */
export function sendAnswer(reply: FastifyReply, answer: unknown): void {
  const { status, retryAfterS, body } = httpAnswer(answer);
  if (status === 401) void reply.header('www-authenticate', 'Basic realm="sluice", charset="UTF-8"');
  if (retryAfterS !== null) void reply.header('retry-after', String(retryAfterS));
  void reply.status(status).header('content-type', 'application/json; charset=utf-8').send(JSON.stringify(body));
}

/** An integration may speak for itself only: anything else is answered as if there were nothing there. */
function speakerOrRefusal(users: QuotaHttpUsers, request: FastifyRequest): Speaker | Rejected | Unavailable {
  if (users.trouble() !== null) return unavailable('accounts_not_loaded', 'the accounts have not been read yet');
  const identity = users.identify(request.headers.authorization);
  if (identity === 'unreadable')
    return unavailable('credentials_unreadable', 'the password to compare with cannot be read; the operator is told');
  const { account, integration } = request.params as { readonly account: string; readonly integration?: string };
  const isOwn =
    identity !== 'unknown' &&
    identity.account === account &&
    (integration === undefined || identity.integration === integration);
  if (!isOwn) return rejected('bad_credentials', 'unknown account or integration, or wrong user name or password');
  if (request.method === 'POST' && !JSON_TYPE.test(request.headers['content-type'] ?? ''))
    return rejected('wrong_content_type', 'the content type must be application/json');
  return identity;
}

/** Whatever Nest or Fastify find wrong before or after our code runs, told in the protocol's words. */
@Catch()
class QuotaHttpErrors implements ExceptionFilter {
  readonly #log = new Logger('quota over HTTP');

  catch(error: unknown, host: ArgumentsHost): Observable<never> | void {
    // The doors over NATS share the filters, and have answers of their own.
    if (host.getType() !== 'http') return throwError(() => error);
    const answer = answerTo(error);
    if (answer.code === 'internal_error') this.#log.error('a request failed', error);
    sendAnswer(host.switchToHttp().getResponse<FastifyReply>(), answer);
  }
}

function answerTo(error: unknown): Rejected | Unavailable {
  const status = error instanceof HttpException ? error.getStatus() : (error as { statusCode?: unknown }).statusCode;
  switch (status) {
    case 404:
      return rejected('not_found', 'there is nothing at this address');
    case 413:
      return rejected('body_too_large', `at most ${MAX_BODY_BYTES} bytes are read`);
    case 415:
      return rejected('wrong_content_type', 'the content type must be application/json');
    default:
      return typeof status === 'number' && status >= 400 && status < 500
        ? rejected('bad_request', 'the request cannot be read')
        : unavailable('internal_error', 'the request failed inside; it is logged');
  }
}

function rejected(code: string, message: string): Rejected {
  return { answer: 'rejected', code, message };
}

function unavailable(code: string, message: string): Unavailable {
  return { answer: 'unavailable', code, message, retryInMs: RETRY_MS };
}
