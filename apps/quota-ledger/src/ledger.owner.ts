import { backoffMs, type Clock } from '#clock';
import type { AccountName } from '#contracts';
import type { OutboxRelay } from '#jetstream';
import type { Log } from '#telemetry';
import { readAccountsFile } from './accounts-file.js';
import type { AnnounceAccountsDuty } from './announce-accounts.duty.js';
import type { ApplyAccountsHandler } from './apply-accounts.handler.js';
import { partitionOf, PARTITIONS } from './domain/partition.js';
import type { LedgerStore, LedgerStores, Retention, StoredVersion } from './ledger.store.js';
import type { QuotaHandler } from './quota.handler.js';

/** How often expiry is looked for. A grant's expiry frees nothing, so being late costs nobody a call. */
const EXPIRY_LOOK_MS = 250;
/** How often partitions are looked at: what is free is taken, what is more than a fair part is given back. */
const BALANCE_MS = 250;
/** How often owners say that they live, and hear of new versions of accounts. */
const BEAT_MS = 1_000;
/** An owner that hasn't said so for this long has stalled: its session is ended, and others take its partitions. */
export const STALLED_MS = 5_000;
const USAGE_MS = 1_000;
const SNAPSHOT_MS = 30_000;
const PRUNE_MS = 600_000;
const RETRY = { firstMs: 250, mostMs: 5_000 };
/** Whoever owns this partition applies accounts and announces them. */
const STEWARDS_PARTITION = 0;

export interface OwnerOptions {
  readonly accountsFile: string;
  readonly accountsForce: boolean;
  readonly retention: Retention;
}

/** Who hears requests: opened for accounts while this process decides for them, closed before it gives them up. */
export interface Doors {
  /** From now on hears of exactly these accounts; of changed files of accounts where it is the steward. */
  hear(accounts: readonly AccountName[], steward: boolean): Promise<void>;
}

export interface OwnerParts {
  readonly stores: LedgerStores;
  readonly quota: QuotaHandler;
  readonly accounts: ApplyAccountsHandler;
  readonly announcer: AnnounceAccountsDuty;
  readonly relayOf: (partition: number) => OutboxRelay;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * The ledger's life: open the tables, take partitions as they are free and this process's fair part, build their books, hear
 * their accounts, do the duties; when the tables are lost, close everything and begin again. A process that owns nothing is
 * well: it stands by.
 */
export class LedgerOwner {
  private readonly stopping = new AbortController();
  private doors: Doors | null = null;
  private store: LedgerStore | null = null;
  private running: Promise<void> | null = null;
  private trouble: string | null = null;
  private readonly relays = new Map<number, OutboxRelay>();
  private versions = new Map<AccountName, StoredVersion[]>();
  private settle: () => void = () => undefined;
  /** Resolves when this process owns something for the first time, or knows that others own everything. */
  readonly settled = new Promise<void>((resolve) => {
    this.settle = resolve;
  });

  constructor(
    private readonly parts: OwnerParts,
    private readonly options: OwnerOptions,
  ) {}

  /** Begins to compete for partitions. */
  start(): void {
    this.running ??= this.run();
  }

  /** The doors are made only after the rest of the service: from now on they hear what this process decides for. */
  useDoors(doors: Doors): Promise<void> {
    this.doors = doors;
    return this.hear();
  }

  /** The store, for reading; null while the tables can't be reached. */
  current(): LedgerStore | null {
    return this.store;
  }

  /** For `/health/ready`: null for an owner and for one that stands by, else what is wrong. */
  check(): string | null {
    return this.trouble;
  }

  /** Gives everything back after what is under way. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
  }

  private async run(): Promise<void> {
    const { stores, clock, log } = this.parts;
    for (let failures = 0; !this.stopping.signal.aborted;) {
      let store: LedgerStore | null = null;
      try {
        store = await stores.open(this.stopping.signal);
        await this.live(store);
        failures = 0;
      } catch (error) {
        if (this.stopping.signal.aborted) return;
        failures += 1;
        this.trouble = `the ledger can't be taken over: ${(error as Error).message}`;
        log.error('the ledger is interrupted', { error });
      } finally {
        if (store) await this.leave(store);
      }
      await clock.sleep(backoffMs(failures, RETRY), this.stopping.signal).catch(() => undefined);
    }
  }

  /** Returns when the tables are lost, or the service stops. */
  private async live(store: LedgerStore): Promise<void> {
    const { quota, clock } = this.parts;
    const until = AbortSignal.any([store.ended, this.stopping.signal]);
    const askedMonoMs = clock.monotonicMs();
    quota.begin(store, await store.beat([]), askedMonoMs);
    this.versions = new Map();
    await this.readVersions(store);
    this.store = store;
    await this.balance(store);
    this.trouble = null;
    this.settle();
    await Promise.all([
      this.every(BALANCE_MS, until, () => this.balance(store)),
      this.every(BEAT_MS, until, () => this.beat(store)),
      this.every(EXPIRY_LOOK_MS, until, () => quota.expireDue()),
      this.every(USAGE_MS, until, () => this.checkpoints(false, until)),
      this.every(SNAPSHOT_MS, until, () => this.checkpoints(true, until)),
      this.every(PRUNE_MS, until, async () => {
        if (!this.isSteward()) return;
        for (let more = true; more && !until.aborted;) more = await store.prune(this.options.retention);
      }),
    ]);
    if (this.stopping.signal.aborted && !store.ended.aborted)
      for (const partition of quota.owned()) await this.giveBack(store, partition);
  }

  private async leave(store: LedgerStore): Promise<void> {
    const { quota, announcer } = this.parts;
    this.store = null;
    announcer.forget();
    const ended = quota.end();
    await this.doors?.hear([], false);
    await ended;
    await Promise.all([...this.relays.values()].map((relay) => relay.stop()));
    this.relays.clear();
    await store.close().catch(() => undefined);
  }

  /** Takes what is free up to a fair part, gives back what is more: one at a time, so that no account waits long. */
  private async balance(store: LedgerStore): Promise<void> {
    const { quota } = this.parts;
    const fair = Math.ceil(PARTITIONS / (await store.members()));
    const owned = new Set(quota.owned());
    if (owned.size > fair) {
      await this.giveBack(store, Math.max(...owned));
      return;
    }
    const before = owned.size;
    for (let partition = 0; partition < PARTITIONS && owned.size < fair; partition += 1)
      if (!owned.has(partition) && (await this.take(store, partition))) owned.add(partition);
    if (owned.size > before) await this.hear();
  }

  private async take(store: LedgerStore, partition: number): Promise<boolean> {
    const { quota, announcer, relayOf, log } = this.parts;
    const epoch = await store.take(partition);
    if (epoch === null) return false;
    // Its former owner may have stored versions a moment ago.
    await this.readVersions(store);
    await quota.adopt(partition, epoch);
    const relay = relayOf(partition);
    this.relays.set(partition, relay);
    relay.start();
    log.info('a partition is taken', { partition, epoch });
    if (partition === STEWARDS_PARTITION) {
      await this.applyFile();
      announcer.announceTakeover([...this.versions.values()].map((all) => all.at(-1)!));
    }
    return true;
  }

  private async giveBack(store: LedgerStore, partition: number): Promise<void> {
    const { quota, announcer, log } = this.parts;
    const ours = quota.accounts().filter((account) => partitionOf(account) !== partition);
    await this.doors?.hear(ours, partition !== STEWARDS_PARTITION && this.isSteward());
    if (partition === STEWARDS_PARTITION) announcer.forget();
    await quota.drop(partition);
    await this.relays.get(partition)?.stop();
    this.relays.delete(partition);
    await store.giveBack(partition);
    log.info('a partition is given back', { partition });
  }

  private isSteward(): boolean {
    return this.parts.quota.owned().includes(STEWARDS_PARTITION);
  }

  private async hear(): Promise<void> {
    if (this.store) await this.doors?.hear(this.parts.quota.accounts(), this.isSteward());
  }

  private async beat(store: LedgerStore): Promise<void> {
    const { quota, clock, log } = this.parts;
    const owned = quota.owned();
    const askedMonoMs = clock.monotonicMs();
    quota.noteClock(await store.beat(owned), askedMonoMs);
    if (await this.readVersions(store)) await this.hear();
    if (owned.length === PARTITIONS) return;
    const ended = await store.endStalled(STALLED_MS);
    if (ended > 0) log.warn('an owner stands still; its session was ended', { sessions: ended, stalledMs: STALLED_MS });
  }

  /** Takes versions over that were stored since the last look; true where there were any. */
  async readVersions(store: LedgerStore): Promise<boolean> {
    const lastId = Math.max(0, ...[...this.versions.values()].flat().map(({ id }) => id));
    const stored = await store.versions(lastId);
    for (const [account, versions] of stored)
      this.versions.set(account, [...(this.versions.get(account) ?? []), ...versions]);
    await this.parts.quota.useVersions(this.versions);
    return stored.size > 0;
  }

  private async checkpoints(withSnapshots: boolean, until: AbortSignal): Promise<void> {
    for (const partition of this.parts.quota.owned())
      if (!until.aborted) await this.parts.quota.checkpoint(partition, withSnapshots);
  }

  /** A file that is wrong by now doesn't stop what runs: the accounts stored are taken as they are. */
  private async applyFile(): Promise<void> {
    const { accountsFile, accountsForce } = this.options;
    const { accounts, log } = this.parts;
    if (accountsFile === '') return;
    let yaml: string;
    try {
      yaml = readAccountsFile(accountsFile, log);
    } catch (error) {
      log.error('the accounts stay as they are stored', { error });
      return;
    }
    const answer = await accounts.apply({ yaml, force: accountsForce }, 'file');
    if (answer.answer !== 'applied') return;
    const kept = answer.accounts.filter(({ did }) => did === 'kept').map(({ account }) => account);
    if (kept.length > 0)
      log.warn('accounts were changed at run time and stay so; ACCOUNTS_FORCE overwrites them', { accounts: kept });
  }

  private async every(periodMs: number, until: AbortSignal, work: () => void | Promise<void>): Promise<void> {
    const { clock, log } = this.parts;
    while (!until.aborted) {
      await clock.sleep(periodMs, until).catch(() => undefined);
      if (until.aborted) return;
      try {
        await work();
      } catch (error) {
        if (!until.aborted) log.warn('a duty of the ledger failed and is tried again', { error });
      }
    }
  }
}
