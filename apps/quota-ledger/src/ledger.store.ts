import type { AccountConfig, AccountName, IntegrationName } from '#contracts';
import type { AccountVersion } from './domain/books.js';
import type { LedgerEvent } from './domain/ledger-changes.js';
import type { StoredPartition } from './domain/replay.js';
import type { UsageRowCounts } from './domain/usage.js';

/** A version of an account and who brought it: the file at start, or an operator at run time. */
export interface StoredVersion extends AccountVersion {
  /** Rises with every version stored, of whatever account. */
  readonly id: number;
  readonly origin: 'file' | 'operator';
}

/** A version to be stored. */
export interface NewVersion {
  readonly version: number;
  readonly origin: 'file' | 'operator';
  readonly config: AccountConfig;
}

/** One partition's part of a turn. */
export interface TurnToRecord {
  readonly partition: number;
  readonly epoch: number;
  /** One more than the partition's last. */
  readonly seq: number;
  /** When it was decided, on the ledger's clock. */
  readonly atMs: number;
  readonly events: readonly LedgerEvent[];
}

/** What is counted of an account's minute, and the hour and day that it belongs to (their starts, epoch ms). */
export interface UsageToStore extends UsageRowCounts {
  readonly account: AccountName;
  readonly hour: number;
  readonly day: number;
}

/** An account's books, an `AccountSnapshot` as JSON. */
export interface StoredBooks {
  readonly account: AccountName;
  readonly books: string;
}

/** What is stored of a partition beside its journal, all at one turn. */
export interface Checkpoint {
  readonly partition: number;
  readonly epoch: number;
  /** Usage up to this turn is stored with it. */
  readonly seq: number;
  readonly usage: readonly UsageToStore[];
  /** Null where no snapshots are due; else those of all accounts that changed since the last ones. */
  readonly snapshots: readonly StoredBooks[] | null;
}

export interface UsageBuckets {
  readonly account: AccountName;
  readonly per: 'minute' | 'hour' | 'day';
  readonly integration: IntegrationName | null;
  readonly fromMs: number;
  readonly toMs: number;
  readonly limitRows: number;
}

/** How long rows are kept, ms. */
export interface Retention {
  readonly journalMs: number;
  readonly minutesMs: number;
  readonly daysMs: number;
}

/** The journal of a partition has an owner of a later epoch: nothing was recorded for it. */
export class EpochPassed extends Error {
  readonly code = 'epoch_passed';
  constructor() {
    super('another owner of a partition has begun, or this one was too slow to record what it decided');
    this.name = 'EpochPassed';
  }
}

/**
 * The ledger's tables as one process meets them. It may own partitions: while it does, nobody else writes to them, and once
 * `ended` is aborted nothing more takes effect. Every method rejects when the tables can't be reached; then it isn't known
 * whether a turn was recorded, and whoever keeps books must load them again.
 */
export interface LedgerStore {
  readonly ended: AbortSignal;
  /** How many processes there are that could own partitions; at least 1. */
  members(): Promise<number>;
  /** Takes a partition where nobody has it; its new epoch, higher than any owner's before. Null where another has it. */
  take(partition: number): Promise<number | null>;
  giveBack(partition: number): Promise<void>;
  /** The database's clock. Its answer proves as well that this session had its partitions when it was asked. */
  readClock(): Promise<number>;
  /**
   * Ends the sessions of processes that stand still: they have asked nothing for this long, at this look and at the last.
   * Returns how many.
   */
  endStalled(idleMs: number): Promise<number>;
  /** Everything that a partition's books are built from, with the versions of its accounts. */
  load(partition: number, accounts: ReadonlyMap<AccountName, readonly StoredVersion[]>): Promise<LoadedPartition>;
  /**
   * Records a turn: durable when it resolves, with the database's clock of before. At most one at a time.
   *
   * @throws EpochPassed where a partition's part could not be recorded; other partitions' parts may have been
   */
  record(turns: readonly TurnToRecord[]): Promise<number>;
  /** Stores usage and snapshots. Rejects, having done nothing, where the partition's epoch has passed. */
  checkpoint(checkpoint: Checkpoint): Promise<void>;
  /** All versions of all accounts stored after an id, by account, oldest first. */
  versions(afterId: number): Promise<ReadonlyMap<AccountName, readonly StoredVersion[]>>;
  /** Stores new versions, in force from now, but not from before `leastMs`: decisions go on there where the clock was set back. */
  addVersions(versions: readonly NewVersion[], leastMs: number): Promise<void>;
  usage(buckets: UsageBuckets): Promise<UsageRowCounts[]>;
  /** Removes some of what is older; true where there may be more. */
  prune(retention: Retention): Promise<boolean>;
  /** Gives everything back, after what is under way. */
  close(): Promise<void>;
}

export interface LoadedPartition extends StoredPartition {
  /** The journal's last turn; 0 where it has none. */
  readonly lastSeq: number;
}

/** Where the tables are reached: waits until they can be. */
export interface LedgerStores {
  open(signal: AbortSignal): Promise<LedgerStore>;
}
