import type { IncomingHttpHeaders } from 'node:http';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { AccountName } from '#contracts';
import { Accounts } from './account.directory.js';
import { CcaiCredentials } from './ccai.credentials.js';
import { sendRefusal } from './http.error-answer.js';
import { HttpRefusal } from './http.errors.js';

/** The route of CCAI's webhooks, below no prefix. */
export const CCAI_ROUTE = 'v1/:account/ccai/:feed';

const JSON_TYPE = /^application\/json(?:\s*;|\s*$)/i;

/** Requests that passed the gate, and for which account. */
const passed = new WeakMap<FastifyRequest, AccountName>();

/**
 * What happens before a body is read: an unknown sender costs us a header, not a megabyte. Order: are the accounts known
 * at all (503), then who is it (401, the same for an account that doesn't exist), then is it JSON (415).
 *
 * Goes by the route that was found, never by the URL's text: `/v%31/…` and `http://host/v1/…` lead to the same route.
 */
export function guardCcaiDoor(app: NestFastifyApplication): void {
  const accounts = app.get(Accounts);
  const credentials = app.get(CcaiCredentials);
  const fastify = app.getHttpAdapter().getInstance();
  fastify.addHook('onRequest', (request: FastifyRequest, reply: FastifyReply, next: () => void) => {
    if (request.routeOptions.url !== `/${CCAI_ROUTE}`) return next();
    const { account } = request.params as { readonly account: string };
    const refusal = refusalOf(accounts, credentials, account, request.headers);
    if (refusal !== null) return sendRefusal(reply, refusal);
    passed.set(request, account);
    next();
  });
}

/**
 * The account that a request was let in for.
 *
 * @throws HttpRefusal where it never passed the gate: then nobody knows who sent it
 */
export function accountOf(request: FastifyRequest): AccountName {
  const account = passed.get(request);
  if (account === undefined) throw new HttpRefusal('bad_credentials');
  return account;
}

/** JSON bodies are handed over as bytes: how they must look is decided in one place, for all doors. */
export function readBodiesAsBytes(app: NestFastifyApplication, bodyLimit: number): void {
  app.useBodyParser('application/json', { bodyLimit }, (_request, body, done) => done(null, body));
}

function refusalOf(
  accounts: Accounts,
  credentials: CcaiCredentials,
  account: string,
  headers: IncomingHttpHeaders,
): HttpRefusal | null {
  if (accounts.trouble() !== null) return new HttpRefusal('accounts_not_loaded');
  const identity = credentials.identify(account, headers.authorization);
  switch (identity) {
    case 'known':
      return JSON_TYPE.test(headers['content-type'] ?? '') ? null : new HttpRefusal('wrong_content_type');
    case 'unknown':
      return new HttpRefusal('bad_credentials');
    case 'unreadable':
      return new HttpRefusal('credentials_unreadable');
    default:
      return identity satisfies never;
  }
}
