import { isDeepStrictEqual } from 'node:util';
import { Kvm, type KvWatchEntry } from '@nats-io/kv';
import { StorageType } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { backoffMs, type Clock, systemClock } from '#clock';
import { type AccountName, ACCOUNTS_BUCKET, type PublishedAccount } from '#contracts';
import { type Log, silentLog } from '#telemetry';

export interface WatchAccountsOptions {
  /** Called with every account known at first, then with every change, as the ledger published them. */
  readonly onAccount?: (account: PublishedAccount) => void;
  readonly onRemoved?: (name: AccountName) => void;
  readonly log?: Log;
  readonly clock?: Clock;
}

/** The accounts as the ledger last published them, kept up to date. */
export interface AccountDirectory {
  get(name: AccountName): PublishedAccount | null;
  /** All of them, by name. */
  all(): readonly PublishedAccount[];
  /** Resolves once all that was published has been read, which may be never while there is no ledger. */
  readonly loaded: Promise<void>;
  /** For `/health/ready`: null once loaded, else why not. */
  check(): string | null;
  stop(): Promise<void>;
}

const RETRY: { readonly firstMs: number; readonly mostMs: number } = { firstMs: 250, mostMs: 5_000 };
/** A bucket in files: what an account was must survive the server's restart. */
const HISTORY_VALUES = 1;

const encoder = new TextEncoder();

/**
 * Follows the bucket that the ledger publishes accounts to: waits (saying so once) until the bucket exists, and follows it
 * again after any loss. Needs, at the server, STREAM.INFO and CONSUMER.CREATE/DELETE of `KV_accounts`.
 */
export function watchAccounts(nc: NatsConnection, options: WatchAccountsOptions = {}): AccountDirectory {
  return new WatchedAccounts(nc, options);
}

class WatchedAccounts implements AccountDirectory {
  readonly loaded: Promise<void>;
  readonly #accounts = new Map<AccountName, PublishedAccount>();
  readonly #options: WatchAccountsOptions;
  readonly #log: Log;
  readonly #stopping = new AbortController();
  readonly #done: Promise<void>;
  #isLoaded = false;
  #trouble = 'no accounts read yet';
  #markLoaded: () => void = () => undefined;
  #stopWatch: () => void = () => undefined;

  constructor(nc: NatsConnection, options: WatchAccountsOptions) {
    this.#options = options;
    this.#log = options.log ?? silentLog;
    this.loaded = new Promise((resolve) => {
      this.#markLoaded = resolve;
    });
    this.#done = this.#follow(nc, options.clock ?? systemClock);
  }

  get(name: AccountName): PublishedAccount | null {
    return this.#accounts.get(name) ?? null;
  }

  all(): readonly PublishedAccount[] {
    return [...this.#accounts.values()].toSorted((a, b) => (a.config.name < b.config.name ? -1 : 1));
  }

  check(): string | null {
    return this.#isLoaded ? null : this.#trouble;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#stopWatch();
    await this.#done;
  }

  async #follow(nc: NatsConnection, clock: Clock): Promise<void> {
    const stopping = this.#stopping.signal;
    let said = '';
    let failures = 0;
    while (!stopping.aborted && !nc.isClosed()) {
      try {
        await this.#watch(nc);
        failures = 0;
      } catch (error) {
        failures += 1;
        this.#trouble = `accounts can't be read: ${(error as Error).message}`;
        if (said !== this.#trouble) this.#log.warn('waiting for the accounts', { reason: this.#trouble });
        said = this.#trouble;
      }
      await clock.sleep(backoffMs(Math.max(failures, 1), RETRY), stopping).catch(() => undefined);
    }
  }

  async #watch(nc: NatsConnection): Promise<void> {
    const bucket = await new Kvm(nc).open(ACCOUNTS_BUCKET);
    const { values } = await bucket.status();
    const entries = await bucket.watch();
    this.#stopWatch = () => entries.stop();
    if (this.#stopping.signal.aborted) entries.stop();
    if (values === 0) this.#nowLoaded();
    for await (const entry of entries) {
      this.#take(entry);
      // `delta` counts what is still to come of what was there when the watch began.
      if (entry.isUpdate || entry.delta === 0) this.#nowLoaded();
    }
  }

  #nowLoaded(): void {
    if (this.#isLoaded) return;
    this.#isLoaded = true;
    this.#log.info('accounts read', { accounts: this.#accounts.size });
    this.#markLoaded();
  }

  #take(entry: KvWatchEntry): void {
    if (entry.operation !== 'PUT') {
      if (this.#accounts.delete(entry.key)) this.#options.onRemoved?.(entry.key);
      return;
    }
    const account = accountIn(entry);
    if (!account) {
      this.#log.error('what is published as an account is none, and is left out', { account: entry.key });
      return;
    }
    const known = this.#accounts.get(account.config.name);
    // Versions may begin again after a restore from a backup: what was published last is what counts.
    if (known && isSame(known, account)) return;
    this.#accounts.set(account.config.name, account);
    this.#options.onAccount?.(account);
  }
}

/** The account that an entry holds; null where it is anything else, so that one bad entry costs no reader the others. */
function accountIn(entry: { readonly key: string; json<T>(): T }): PublishedAccount | null {
  try {
    const { version, config } = entry.json<Partial<PublishedAccount>>();
    if (!Number.isInteger(version) || config?.name !== entry.key) return null;
    return { version: version!, config };
  } catch {
    return null;
  }
}

/**
 * Publishes an account's current configuration (making the bucket if need be). An equal or newer version that is
 * published already stays: then the answer is false. With `evenIfNewer` only the very same stays: for a publisher whose
 * tables may have been restored from a backup, so that their versions count from an earlier one again.
 *
 * @throws errors of JetStream's API as they are
 */
export async function publishAccount(
  nc: NatsConnection,
  account: PublishedAccount,
  options: { readonly replicas?: number; readonly evenIfNewer?: boolean } = {},
): Promise<boolean> {
  const bucket = await accountsBucket(nc, options.replicas ?? 1);
  const key = account.config.name;
  const current = await bucket.get(key);
  const published = current?.operation === 'PUT' ? accountIn(current) : null;
  if (published && isUpToDate(published, account, options.evenIfNewer === true)) return false;
  const value = encoder.encode(JSON.stringify(account));
  // Two publishers at once: the later put fails on the revision instead of overwriting a newer version.
  await bucket.put(key, value, { previousSeq: current?.revision ?? 0 });
  return true;
}

function isUpToDate(published: PublishedAccount, account: PublishedAccount, evenIfNewer: boolean): boolean {
  return evenIfNewer ? isSame(published, account) : published.version >= account.version;
}

/** As they travel, so that it doesn't matter how each came about. */
function isSame(a: PublishedAccount, b: PublishedAccount): boolean {
  const plain = (account: PublishedAccount): unknown => JSON.parse(JSON.stringify(account));
  return isDeepStrictEqual(plain(a), plain(b));
}

/** Takes an account out of the directory. */
export async function removeAccount(nc: NatsConnection, name: AccountName): Promise<void> {
  const bucket = await accountsBucket(nc, 1);
  await bucket.delete(name);
}

function accountsBucket(nc: NatsConnection, replicas: number) {
  return new Kvm(nc).create(ACCOUNTS_BUCKET, {
    history: HISTORY_VALUES,
    storage: StorageType.File,
    replicas,
    // Direct reads may be behind; comparing versions must not be.
    allow_direct: false,
  });
}
