import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Clock } from '#clock';
import type { AccountConfig, AccountName, IntegrationName } from '#contracts';
import { readSecret } from '#settings';
import type { Log } from '#telemetry';

/** How often, at most, a secret is read again: one that couldn't be read, or one that may have been changed. */
export const REREAD_MS = 5_000;
/** Longest `Authorization` header looked at. */
const MAX_HEADER_LENGTH = 1_024;

/** Who speaks. */
export interface Speaker {
  readonly account: AccountName;
  readonly integration: IntegrationName;
}

/** `unreadable`: there is such an integration, but its password can't be read at the moment. */
export type Identity = Speaker | 'unknown' | 'unreadable';

interface Expected extends Speaker {
  readonly passwordRef: string;
  /** SHA-256 of `user:password`; null where the secret can't be read. */
  readonly digest: Buffer | null;
  readonly readAtMs: number;
}

/**
 * Who may use the quota protocol over HTTP: HTTP Basic, user `<account>.<integration>`. Compared in constant time over
 * digests; a user that doesn't exist takes the same way, so that nobody learns from here who exists. A changed secret file is
 * noticed without a restart.
 */
export class IntegrationCredentials {
  readonly #users = new Map<string, Expected>();
  readonly #nobody: Expected = {
    account: '',
    integration: '',
    passwordRef: '',
    digest: randomBytes(32),
    readAtMs: Number.POSITIVE_INFINITY,
  };

  constructor(
    private readonly clock: Pick<Clock, 'monotonicMs'>,
    private readonly log: Log,
  ) {}

  /** Takes an account's newest configuration. */
  learn({ name: account, integrations }: AccountConfig): void {
    this.forget(account);
    for (const [integration, { quotaPasswordRef }] of Object.entries(integrations))
      if (quotaPasswordRef !== null)
        this.#users.set(userOf({ account, integration }), this.#read({ account, integration }, quotaPasswordRef));
  }

  forget(account: AccountName): void {
    for (const [user, expected] of this.#users) if (expected.account === account) this.#users.delete(user);
  }

  /** Whom an `Authorization` header proves to be speaking. */
  identify(authorization: string | undefined): Identity {
    const credentials = credentialsIn(authorization);
    const presented = digestOf(credentials);
    const user = credentials.slice(0, Math.max(0, credentials.indexOf(':')));
    const expected = this.#users.get(user) ?? this.#nobody;
    if (expected.digest !== null && timingSafeEqual(presented, expected.digest)) return speakerOf(expected);
    if (expected === this.#nobody || this.clock.monotonicMs() - expected.readAtMs < REREAD_MS)
      return expected.digest === null ? 'unreadable' : 'unknown';
    const again = this.#read(expected, expected.passwordRef);
    this.#users.set(user, again);
    if (again.digest === null) return 'unreadable';
    return timingSafeEqual(presented, again.digest) ? speakerOf(again) : 'unknown';
  }

  #read({ account, integration }: Speaker, passwordRef: string): Expected {
    const readAtMs = this.clock.monotonicMs();
    const known = { account, integration, passwordRef, readAtMs };
    try {
      return { ...known, digest: digestOf(`${userOf(known)}:${readSecret(passwordRef)}`) };
    } catch (error) {
      this.log.error('the password of the quota protocol over HTTP cannot be read', { account, integration, error });
      return { ...known, digest: null };
    }
  }
}

function userOf({ account, integration }: Speaker): string {
  return `${account}.${integration}`;
}

function speakerOf({ account, integration }: Expected): Speaker {
  return { account, integration };
}

function credentialsIn(authorization: string | undefined): string {
  if (authorization === undefined || authorization.length > MAX_HEADER_LENGTH) return '';
  const found = /^basic +([A-Za-z0-9+/_-]+={0,2}) *$/i.exec(authorization);
  return found ? Buffer.from(found[1]!, 'base64').toString('utf8') : '';
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
