import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import type { Clock } from '#clock';
import { type AccountConfig, type AccountName, WRITER_INTEGRATION } from '#contracts';
import { readSecret } from '#settings';
import type { Log } from '#telemetry';
import { CLOCK, LOG } from './ingest.tokens.js';

/** How often, at most, a secret is read again: one that couldn't be read, or one that may have been changed. */
export const REREAD_MS = 5_000;
/** Longest `Authorization` header looked at. */
const MAX_HEADER_LENGTH = 1_024;

export type Identity = 'known' | 'unknown' | 'unreadable';

interface Expected {
  readonly username: string;
  readonly passwordRef: string;
  /** SHA-256 of `user:password`; null where the secret can't be read. */
  readonly digest: Buffer | null;
  readonly readAtMs: number;
}

/**
 * Who may send an account's events over HTTP: HTTP Basic, one user an account. Compared in constant time over digests;
 * an account that doesn't exist takes the same way, so that nobody learns from here which accounts exist. A changed secret
 * file is noticed without a restart.
 */
@Injectable()
export class CcaiCredentials {
  readonly #accounts = new Map<AccountName, Expected>();
  readonly #nobody: Expected = {
    username: '',
    passwordRef: '',
    digest: randomBytes(32),
    readAtMs: Number.POSITIVE_INFINITY,
  };

  constructor(
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(LOG) private readonly log: Log,
  ) {}

  /** Takes an account's newest configuration. */
  learn(config: AccountConfig): void {
    const ingest = ccaiIngestOf(config);
    if (ingest === null) this.#accounts.delete(config.name);
    else this.#accounts.set(config.name, this.#read(config.name, ingest));
  }

  forget(account: AccountName): void {
    this.#accounts.delete(account);
  }

  /** Whether an `Authorization` header names this account's user with the right password. */
  identify(account: string, authorization: string | undefined): Identity {
    const presented = digestOf(credentialsIn(authorization));
    const expected = this.#accounts.get(account) ?? this.#nobody;
    if (expected.digest !== null && timingSafeEqual(presented, expected.digest)) return 'known';
    if (this.clock.monotonicMs() - expected.readAtMs < REREAD_MS || expected === this.#nobody)
      return expected.digest === null ? 'unreadable' : 'unknown';
    const again = this.#read(account, expected);
    this.#accounts.set(account, again);
    if (again.digest === null) return 'unreadable';
    return timingSafeEqual(presented, again.digest) ? 'known' : 'unknown';
  }

  #read(
    account: AccountName,
    { username, passwordRef }: { readonly username: string; readonly passwordRef: string },
  ): Expected {
    const readAtMs = this.clock.monotonicMs();
    try {
      return { username, passwordRef, digest: digestOf(`${username}:${readSecret(passwordRef)}`), readAtMs };
    } catch (error) {
      this.log.error('the password of the HTTP door cannot be read; its events are refused', { account, error });
      return { username, passwordRef, digest: null, readAtMs };
    }
  }
}

/** What an account says of CCAI's way in; null where it has none. */
export function ccaiIngestOf(
  config: AccountConfig,
): { readonly username: string; readonly passwordRef: string } | null {
  const integrations = config.integrations;
  return Object.hasOwn(integrations, WRITER_INTEGRATION) ? (integrations[WRITER_INTEGRATION]?.ingest ?? null) : null;
}

function credentialsIn(authorization: string | undefined): string {
  if (authorization === undefined || authorization.length > MAX_HEADER_LENGTH) return '';
  const found = /^basic +([A-Za-z0-9+/_-]+={0,2}) *$/i.exec(authorization);
  return found ? Buffer.from(found[1]!, 'base64').toString('utf8') : '';
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
