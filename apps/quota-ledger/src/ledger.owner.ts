import { backoffMs, type Clock, settledWithin } from '#clock';
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
/** How often it is looked for who stands still, for new versions of accounts, and at the database's clock. */
const LOOK_MS = 1_000;
/** A process that has asked the database nothing for so long at one look, nor by the next, stands still: it is fenced. */
export const STALLED_MS = 4_000;
/** An owner that hasn't been heard over NATS for so long gives everything back where there is another. */
const UNHEARD_MS = 4_000;
/** Longest wait for doors to close and for what a relay has under way. Neither is needed for safety. */
const CLOSING_LIMIT_MS = 2_000;
/** How long a partition that could not be taken over is left to others. */
const FAILED_TAKE_REST_MS = 5_000;
/** The database's clock was set by more than this: worth telling. */
const CLOCK_STEP_MS = 1_500;
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
  /** False where nobody who asks can be heard at the moment. */
  reachable(): Promise<boolean>;
}

export interface OwnerParts {
  readonly stores: LedgerStores;
  readonly quota: QuotaHandler;
  readonly accounts: Pick<ApplyAccountsHandler, 'apply'>;
  readonly announcer: Pick<AnnounceAccountsDuty, 'announceTakeover' | 'forget'>;
  readonly relayOf: (partition: number, epoch: number) => Pick<OutboxRelay, 'start' | 'stop'>;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * The ledger's life: open the tables, take partitions as they are free and this process's fair part, build their books, hear
 * their accounts, do the duties; when the tables are lost, close everything and begin again. A process that owns nothing is
 * well: it stands by. One that NATS can't reach leaves what it owns to others, and waits.
 */
export class LedgerOwner {
  private readonly stopping = new AbortController();
  private doors: Doors | null = null;
  private store: LedgerStore | null = null;
  private running: Promise<void> | null = null;
  private trouble: string | null = null;
  private readonly relays = new Map<number, Pick<OutboxRelay, 'stop'>>();
  /** Being given back: their accounts are no longer heard, though still decided for. */
  private readonly leaving = new Set<number>();
  /** Partitions that could not be taken over, and until when they are left to others (monotonic ms). */
  private readonly resting = new Map<number, number>();
  private heardMonoMs = 0;
  private clockTrouble: string | null = null;
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
    this.heardMonoMs = this.parts.clock.monotonicMs();
    return this.hear();
  }

  /** The store, for reading; null while the tables can't be reached. */
  current(): LedgerStore | null {
    return this.store;
  }

  /** For `/health/ready`: null for an owner and for one that stands by, else what is wrong. */
  check(): string | null {
    return this.trouble ?? this.clockTrouble;
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
        await this.untilReachable();
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

  /** Nobody could ask a process that NATS doesn't reach: it owns nothing. */
  private async untilReachable(): Promise<void> {
    const { doors } = this;
    const { clock } = this.parts;
    while (doors && !(await doors.reachable())) {
      this.trouble = "NATS can't be reached: others are left to own the ledger";
      await clock.sleep(BALANCE_MS, this.stopping.signal);
    }
    this.heardMonoMs = clock.monotonicMs();
  }

  /** Returns when the tables are lost, NATS is and others can take over, or the service stops. */
  private async live(store: LedgerStore): Promise<void> {
    const { quota, clock, announcer } = this.parts;
    const unheard = new AbortController();
    const until = AbortSignal.any([store.ended, this.stopping.signal, unheard.signal]);
    // At once, whatever the duties still wait for: another may decide already, and be heard beside us.
    // The handler lets go of whoever waits for its turn: a duty of ours, which else would wait for ever.
    const lost = (): void => {
      announcer.forget();
      void this.doors?.hear([], false);
      void quota.end();
    };
    store.ended.addEventListener('abort', lost, { once: true });
    const askedMonoMs = clock.monotonicMs();
    quota.begin(store, await store.readClock(), askedMonoMs);
    this.versions = new Map();
    await this.readVersions(store);
    this.store = store;
    await this.balance(store, until);
    this.trouble = null;
    this.settle();
    await Promise.all([
      this.every(BALANCE_MS, until, () => this.balance(store, until)),
      this.every(LOOK_MS, until, () => this.look(store)),
      this.every(LOOK_MS, until, () => this.listen(store, unheard)),
      this.every(EXPIRY_LOOK_MS, until, () => quota.expireDue()),
      this.every(USAGE_MS, until, () => this.checkpoints(false, until)),
      this.every(SNAPSHOT_MS, until, () => this.checkpoints(true, until)),
      this.every(PRUNE_MS, until, async () => {
        if (!this.isSteward()) return;
        for (let more = true; more && !until.aborted;) more = await store.prune(this.options.retention);
      }),
    ]);
    if (!store.ended.aborted && !unheard.signal.aborted)
      for (const partition of quota.owned()) await this.giveBack(store, partition);
  }

  private async leave(store: LedgerStore): Promise<void> {
    const { quota, announcer, clock } = this.parts;
    this.store = null;
    announcer.forget();
    const ended = quota.end();
    const closed = this.hear();
    await ended;
    // Before the waits for NATS, which may be what is away: others are to have the partitions.
    await store.close().catch(() => undefined);
    const stopped = Promise.all([...this.relays.values()].map((relay) => relay.stop()));
    await Promise.all([closed, settledWithin(stopped, CLOSING_LIMIT_MS, clock)]);
    this.relays.clear();
    this.leaving.clear();
  }

  /** Takes what is free up to a fair part, gives back what is more: one at a time, so that no account waits long. */
  private async balance(store: LedgerStore, until: AbortSignal): Promise<void> {
    const { quota, clock, log } = this.parts;
    const fair = Math.ceil(PARTITIONS / (await store.members()));
    const owned = new Set(quota.owned());
    if (owned.size > fair) {
      await this.giveBack(store, Math.max(...owned));
      return;
    }
    for (let partition = 0; partition < PARTITIONS && owned.size < fair && !until.aborted; partition += 1) {
      if (owned.has(partition) || (this.resting.get(partition) ?? 0) > clock.monotonicMs()) continue;
      try {
        if (await this.take(store, partition)) owned.add(partition);
      } catch (error) {
        if (store.ended.aborted) throw error;
        log.error('a partition could not be taken over; it is left to others for a while', { partition, error });
        this.resting.set(partition, clock.monotonicMs() + FAILED_TAKE_REST_MS);
      }
    }
  }

  private async take(store: LedgerStore, partition: number): Promise<boolean> {
    const { quota, announcer, relayOf, clock, log } = this.parts;
    const beganMonoMs = clock.monotonicMs();
    const epoch = await store.take(partition);
    if (epoch === null) return false;
    try {
      // Its former owner may have stored versions a moment ago.
      await this.readVersions(store);
      await quota.adopt(partition, epoch);
    } catch (error) {
      // Half taken over it would be nobody's: not ours, as it isn't heard, and not free.
      if (!store.ended.aborted) await this.giveBack(store, partition);
      throw error;
    }
    const relay = relayOf(partition, epoch);
    this.relays.set(partition, relay);
    relay.start();
    await this.hear();
    log.info('a partition is taken', { partition, epoch, tookMs: Math.round(clock.monotonicMs() - beganMonoMs) });
    if (partition === STEWARDS_PARTITION) {
      await this.applyFile();
      announcer.announceTakeover([...this.versions.values()].map((all) => all.at(-1)!));
    }
    return true;
  }

  private async giveBack(store: LedgerStore, partition: number): Promise<void> {
    const { quota, announcer, clock, log } = this.parts;
    this.leaving.add(partition);
    try {
      await this.hear();
      if (partition === STEWARDS_PARTITION) announcer.forget();
      await quota.drop(partition);
      const relay = this.relays.get(partition);
      this.relays.delete(partition);
      if (relay) await settledWithin(relay.stop(), CLOSING_LIMIT_MS, clock);
      await store.giveBack(partition);
    } finally {
      this.leaving.delete(partition);
    }
    log.info('a partition is given back', { partition });
  }

  private isSteward(): boolean {
    return !this.leaving.has(STEWARDS_PARTITION) && this.parts.quota.owned().includes(STEWARDS_PARTITION);
  }

  /** Has the doors hear of what is decided here and stays here; of nothing where the tables are lost. */
  private async hear(): Promise<void> {
    const { store, doors, leaving } = this;
    const { quota, clock } = this.parts;
    const isOurs = store !== null && !store.ended.aborted;
    const accounts = isOurs ? quota.accounts().filter((account) => !leaving.has(partitionOf(account))) : [];
    if (doors) await settledWithin(doors.hear(accounts, isOurs && this.isSteward()), CLOSING_LIMIT_MS, clock);
  }

  /** Looks at the database's clock, for new versions of accounts, and for who stands still. */
  private async look(store: LedgerStore): Promise<void> {
    const { quota, clock, log } = this.parts;
    const expectedMs = quota.nowMs();
    const askedMonoMs = clock.monotonicMs();
    const nowMs = await store.readClock();
    quota.noteClock(nowMs, askedMonoMs);
    this.judgeClock(expectedMs - nowMs, clock.monotonicMs() - askedMonoMs);
    if (await this.readVersions(store)) await this.hear();
    const ended = await store.endStalled(STALLED_MS);
    if (ended > 0)
      log.warn('a process stands still; its session was ended', { sessions: ended, stalledMs: STALLED_MS });
  }

  /** A clock that was set back holds every window where it is until it has caught up: somebody must know. */
  private judgeClock(aheadMs: number, tookMs: number): void {
    const before = this.clockTrouble;
    this.clockTrouble =
      aheadMs > CLOCK_STEP_MS
        ? `the database's clock was set back: no window passes for ${Math.ceil(aheadMs / 1_000)} s`
        : null;
    if (this.clockTrouble !== null && before === null)
      this.parts.log.error("the database's clock was set back; limits stand still until it has caught up", { aheadMs });
    if (-aheadMs > CLOCK_STEP_MS + tookMs)
      this.parts.log.error("the database's clock was set ahead; windows were skipped", { skippedMs: -aheadMs });
  }

  /** Leaves what it owns to others, if there are any, where nobody who asks has been heard for too long. */
  private async listen(store: LedgerStore, unheard: AbortController): Promise<void> {
    const { clock, log } = this.parts;
    const askedMonoMs = clock.monotonicMs();
    if (!this.doors || (await this.doors.reachable())) {
      this.heardMonoMs = askedMonoMs;
      return;
    }
    if (clock.monotonicMs() - this.heardMonoMs < UNHEARD_MS || (await store.members()) < 2) return;
    log.error("NATS can't be reached: what this process owns is left to others");
    unheard.abort();
  }

  /** Takes versions over that were stored since the last look; true where there were any. */
  async readVersions(store: LedgerStore): Promise<boolean> {
    const lastId = Math.max(0, ...[...this.versions.values()].flat().map(({ id }) => id));
    const stored = await store.versions(lastId);
    for (const [account, versions] of stored) {
      const known = this.versions.get(account) ?? [];
      // Another look at the same time may have found them already.
      const newer = versions.filter(({ id }) => id > (known.at(-1)?.id ?? 0));
      if (newer.length > 0) this.versions.set(account, [...known, ...newer]);
    }
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
