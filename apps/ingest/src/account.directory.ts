import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import type { NatsConnection } from '@nats-io/transport-node';
import { type AccountDirectory, NATS, watchAccounts } from '#jetstream';
import { HealthChecks, type Log } from '#telemetry';
import { ccaiIngestOf, CcaiCredentials } from './ccai.credentials.js';
import { LOG } from './ingest.tokens.js';

/** The accounts that may send events, kept up to date while the service runs. */
@Injectable()
export class Accounts implements OnApplicationShutdown {
  readonly #directory: AccountDirectory;

  constructor(
    @Inject(NATS) nc: NatsConnection,
    @Inject(LOG) log: Log,
    credentials: CcaiCredentials,
    health: HealthChecks,
  ) {
    this.#directory = watchAccounts(nc, {
      onAccount: ({ config }) => credentials.learn(config),
      onRemoved: (name) => credentials.forget(name),
      log,
    });
    health.add('accounts', () => this.#directory.check());
  }

  /** Null once all accounts have been read, else why not: until then nobody can be told to be unknown. */
  trouble(): string | null {
    return this.#directory.check();
  }

  /** Resolves once all accounts have been read. */
  get loaded(): Promise<void> {
    return this.#directory.loaded;
  }

  exists(account: string): boolean {
    return this.#directory.get(account) !== null;
  }

  /** True where CCAI may send events for it at all. */
  takesEvents(account: string): boolean {
    const found = this.#directory.get(account);
    return found !== null && ccaiIngestOf(found.config) !== null;
  }

  onApplicationShutdown(): Promise<void> {
    return this.#directory.stop();
  }
}
