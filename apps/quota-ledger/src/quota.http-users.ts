import type { OnApplicationShutdown } from '@nestjs/common';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Clock } from '#clock';
import { type AccountDirectory, watchAccounts } from '#jetstream';
import type { Log } from '#telemetry';
import { type Identity, IntegrationCredentials } from './integration.credentials.js';

/** The users of the quota protocol over HTTP, as the accounts now name them. */
export class QuotaHttpUsers implements OnApplicationShutdown {
  readonly #credentials: IntegrationCredentials;
  readonly #directory: AccountDirectory;

  constructor(nc: NatsConnection, clock: Clock, log: Log) {
    this.#credentials = new IntegrationCredentials(clock, log);
    // Read as published, not from the books: a process that stands by answers HTTP too.
    this.#directory = watchAccounts(nc, {
      onAccount: ({ config }) => this.#credentials.learn(config),
      onRemoved: (account) => this.#credentials.forget(account),
      clock,
      log,
    });
  }

  /** Null once all accounts have been read, else why not: until then nobody can be told to be unknown. */
  trouble(): string | null {
    return this.#directory.check();
  }

  /** Whom an `Authorization` header proves to be speaking. */
  identify(authorization: string | undefined): Identity {
    return this.#credentials.identify(authorization);
  }

  onApplicationShutdown(): Promise<void> {
    return this.#directory.stop();
  }
}
