import type { IncomingHttpHeaders } from 'node:http';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Accounts } from './account.directory.js';
import { CcaiCredentials } from './ccai.credentials.js';
import { sendRefusal } from './http.error-answer.js';
import { HttpRefusal } from './http.errors.js';

const PATH = /^\/v1\/([^/?#]+)\/ccai\//;
const JSON_TYPE = /^application\/json(?:\s*;|\s*$)/i;

/**
 * What happens before a body is read: an unknown sender costs us a header, not a megabyte. Order: are the accounts known
 * at all (503), then who is it (401, the same for an account that doesn't exist), then is it JSON (415).
 */
export function guardCcaiDoor(app: NestFastifyApplication): void {
  const accounts = app.get(Accounts);
  const credentials = app.get(CcaiCredentials);
  const fastify = app.getHttpAdapter().getInstance();
  fastify.addHook('onRequest', (request: FastifyRequest, reply: FastifyReply, next: () => void) => {
    const found = PATH.exec(request.url);
    const refusal = found ? refusalOf(accounts, credentials, found[1]!, request.headers) : null;
    if (refusal === null) next();
    else sendRefusal(reply, refusal);
  });
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
