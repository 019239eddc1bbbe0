import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Accounts } from './account.directory.js';
import { CcaiCredentials } from './ccai.credentials.js';
import { sendRefusal } from './http.error-answer.js';
import { HttpRefusal } from './http.errors.js';

const PATH = /^\/v1\/([^/?#]+)\/ccai\//;

/**
 * What happens before a body is read: an unknown sender costs us a header, not a megabyte. Order: are the accounts known
 * at all (503), then who is it (401, the same for an account that doesn't exist).
 */
export function guardCcaiDoor(app: NestFastifyApplication): void {
  const accounts = app.get(Accounts);
  const credentials = app.get(CcaiCredentials);
  const fastify = app.getHttpAdapter().getInstance();
  fastify.addHook('onRequest', (request: FastifyRequest, reply: FastifyReply, next: () => void) => {
    const found = PATH.exec(request.url);
    const refusal = found ? refusalOf(accounts, credentials, found[1]!, request.headers.authorization) : null;
    if (refusal === null) next();
    else sendRefusal(reply, refusal);
  });
}

/** JSON bodies are handed over as bytes, and no other type is read at all (415). */
export function readBodiesAsBytes(app: NestFastifyApplication, bodyLimit: number): void {
  app.useBodyParser('application/json', { bodyLimit }, (_request, body, done) => done(null, body));
  app.getHttpAdapter().getInstance().removeContentTypeParser('text/plain');
}

function refusalOf(
  accounts: Accounts,
  credentials: CcaiCredentials,
  account: string,
  authorization: string | undefined,
): HttpRefusal | null {
  if (accounts.trouble() !== null) return new HttpRefusal('accounts_not_loaded');
  const identity = credentials.identify(account, authorization);
  switch (identity) {
    case 'known':
      return null;
    case 'unknown':
      return new HttpRefusal('bad_credentials');
    case 'unreadable':
      return new HttpRefusal('credentials_unreadable');
    default:
      return identity satisfies never;
  }
}
