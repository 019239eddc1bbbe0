import { backoffMs, type Clock } from '#clock';
import type { OutboxRelay } from '#jetstream';
import type { Log } from '#telemetry';
import { readAccountsFile } from './accounts-file.js';
import type { AnnounceAccountsDuty } from './announce-accounts.duty.js';
import type { ApplyAccountsHandler } from './apply-accounts.handler.js';
import type { LedgerStore, LedgerStores, Retention } from './ledger.store.js';
import type { QuotaHandler } from './quota.handler.js';

/** How often expiry is looked for. A grant's expiry frees nothing, so being late costs nobody a call. */
const EXPIRY_LOOK_MS = 250;
const OPEN_SINCE_MS = 30_000;
const PRUNE_MS = 600_000;
const RETRY = { firstMs: 250, mostMs: 5_000 };

export interface OwnerOptions {
  readonly accountsFile: string;
  readonly accountsForce: boolean;
  readonly retention: Retention;
}

/** Who hears requests: opened while this process is the owner, closed before it gives that up. */
export interface Doors {
  open(): void;
  close(): Promise<void>;
}

export interface OwnerParts {
  readonly stores: LedgerStores;
  readonly quota: QuotaHandler;
  readonly accounts: ApplyAccountsHandler;
  readonly announcer: AnnounceAccountsDuty;
  readonly relay: (store: LedgerStore) => OutboxRelay;
  readonly clock: Clock;
  readonly log: Log;
}

type State = 'starting' | 'standby' | 'owner' | 'stopped';

/**
 * The ledger's life: wait until the ownership is ours, rebuild the books, apply the file of accounts, open the doors, do the
 * duties; when the ownership is lost, close everything and wait again. A standby is well: it only has nothing to do.
 */
export class LedgerOwner {
  private readonly stopping = new AbortController();
  private doors: Doors | null = null;
  private store: LedgerStore | null = null;
  private running: Promise<void> | null = null;
  private state: State = 'starting';
  private trouble: string | null = null;
  private relay: OutboxRelay | null = null;
  private settle: () => void = () => undefined;
  /** Resolves when this process owns the ledger for the first time, or knows that another does. */
  readonly settled = new Promise<void>((resolve) => {
    this.settle = resolve;
  });

  constructor(
    private readonly parts: OwnerParts,
    private readonly options: OwnerOptions,
  ) {}

  /** Begins to compete for the ownership. */
  start(): void {
    this.running ??= this.run();
  }

  /** The doors are made only after the rest of the service: from now on they are opened while owning. */
  useDoors(doors: Doors): void {
    this.doors = doors;
    if (this.state === 'owner') doors.open();
  }

  /** The store, for reading; null while another process is the owner. */
  current(): LedgerStore | null {
    return this.state === 'owner' ? this.store : null;
  }

  /** Tells the relay that there are events to be told. */
  wakeRelay(): void {
    this.relay?.wake();
  }

  /** For `/health/ready`: null for an owner and for a standby, else what is wrong. */
  check(): string | null {
    return this.trouble;
  }

  /** Gives the ownership back after what is under way. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
    this.state = 'stopped';
  }

  private async run(): Promise<void> {
    const { stores, clock, log } = this.parts;
    for (let failures = 0; !this.stopping.signal.aborted;) {
      this.state = 'standby';
      try {
        const store = await stores.own(this.stopping.signal, () => this.settle());
        try {
          await this.own(store);
          failures = 0;
        } finally {
          await this.disown(store);
        }
      } catch (error) {
        if (this.stopping.signal.aborted) return;
        failures += 1;
        this.trouble = `the ledger can't be taken over: ${(error as Error).message}`;
        log.error('taking the ledger over failed', { error });
        await clock.sleep(backoffMs(failures, RETRY), this.stopping.signal).catch(() => undefined);
      }
    }
  }

  /** Returns when the ownership has ended, or the service stops. */
  private async own(store: LedgerStore): Promise<void> {
    const { quota, announcer, relay, log } = this.parts;
    await quota.begin(store);
    await this.applyFile();
    const versions = await store.versions();
    announcer.announceTakeover([...versions.values()].map((all) => all.at(-1)!));
    this.store = store;
    this.state = 'owner';
    this.trouble = null;
    this.relay = relay(store);
    this.relay.start();
    this.doors?.open();
    this.settle();
    log.info('this process owns the ledger', { epoch: store.epoch, accounts: versions.size });
    await this.duties(store);
  }

  private async disown(store: LedgerStore): Promise<void> {
    const { quota, announcer } = this.parts;
    this.state = 'standby';
    this.store = null;
    announcer.forget();
    await this.doors?.close();
    await quota.end();
    await this.relay?.stop();
    this.relay = null;
    await store.release().catch(() => undefined);
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

  /** Expiry, remembering where rebuilding may begin, pruning: side by side until the ownership ends. */
  private async duties(store: LedgerStore): Promise<void> {
    const { quota } = this.parts;
    const until = AbortSignal.any([store.ended, this.stopping.signal]);
    await Promise.all([
      this.every(EXPIRY_LOOK_MS, until, () => quota.expireDue()),
      this.every(OPEN_SINCE_MS, until, () => quota.between(() => store.setOpenSince(quota.openSince()))),
      this.every(PRUNE_MS, until, async () => {
        const { retention } = this.options;
        const kept = { ...retention, grantsMs: Math.max(retention.grantsMs, quota.memoryMs()) };
        for (let more = true; more && !until.aborted;) more = await store.prune(kept);
      }),
    ]);
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
