import type { AccountConfig, AccountName, IntegrationName } from '#contracts';
import type { AccountVersion } from './domain/books.js';
import type { Grant } from './domain/grant.js';
import type { LedgerChanges } from './domain/ledger-changes.js';
import type { StoredAccount } from './domain/rebuild.js';

/** What a turn wants to know from the tables before it decides. */
export interface Asked {
  readonly requests: readonly {
    readonly account: AccountName;
    readonly integration: IntegrationName;
    readonly requestId: string;
  }[];
  readonly grantIds: readonly string[];
}

/** What the tables say, and what time it is. */
export interface Gathered {
  /** The ledger's clock, epoch ms, read after everything asked had arrived. */
  readonly nowMs: number;
  /** Found grants by `foundKey`. */
  readonly byRequest: ReadonlyMap<string, Grant>;
  readonly byId: ReadonlyMap<string, Grant & { readonly account: AccountName }>;
}

/** Where `Gathered.byRequest` keeps a request's grant. */
export function foundKey(account: AccountName, integration: IntegrationName, requestId: string): string {
  return `${account} ${integration} ${requestId}`;
}

export interface LoadedLedger {
  readonly nowMs: number;
  readonly accounts: readonly StoredAccount[];
}

/** A version of an account and who brought it: the file at start, or an operator at run time. */
export interface StoredVersion extends AccountVersion {
  readonly origin: 'file' | 'operator';
}

/** New versions to be stored, and what is to be told of them. */
export interface VersionChanges {
  readonly versions: readonly {
    readonly version: number;
    readonly origin: 'file' | 'operator';
    readonly config: AccountConfig;
  }[];
  readonly changes: LedgerChanges;
}

export interface UsageBuckets {
  readonly account: AccountName;
  readonly per: 'minute' | 'hour' | 'day';
  readonly integration: IntegrationName | null;
  readonly fromMs: number;
  readonly toMs: number;
  /** Length of an hour, ms, where minutes are summed to hours. */
  readonly hourMs: number;
  readonly limitRows: number;
}

export interface CountedCalls {
  readonly integration: IntegrationName;
  readonly startsAt: number;
  readonly granted: number;
  readonly used: number;
  readonly returned: number;
  readonly expired: number;
  readonly open: number;
}

/** How long rows are kept, ms. */
export interface Retention {
  readonly grantsMs: number;
  readonly minutesMs: number;
  readonly daysMs: number;
  readonly eventsMs: number;
}

/**
 * The ledger's tables, as their one owner meets them. While it is owned nobody else writes; once `ended` is aborted nothing
 * more takes effect. Every method rejects when the tables can't be reached; then it isn't known whether a turn was recorded,
 * and whoever keeps books must load them again.
 */
export interface LedgerStore {
  /** Higher than any owner's before. */
  readonly epoch: number;
  readonly ended: AbortSignal;
  /** Everything that books are rebuilt from: of all accounts, or of one. */
  load(account?: AccountName): Promise<LoadedLedger>;
  /** Gathers, lets `decide`, and records what it changes, in one transaction. Resolves once that is durable. */
  turn(asked: Asked, decide: (gathered: Gathered) => LedgerChanges): Promise<void>;
  /** All versions of all accounts, by account, oldest first. */
  versions(): Promise<ReadonlyMap<AccountName, readonly StoredVersion[]>>;
  /** Stores new versions, in force from now, but not from before `leastMs`: decisions go on there where the clock was set back. */
  apply(changes: VersionChanges, leastMs: number): Promise<void>;
  usage(buckets: UsageBuckets): Promise<CountedCalls[]>;
  /** Remembers that no grant made before this has open calls. */
  setOpenSince(openSinceMs: number): Promise<void>;
  /** Removes some of what is older; true where there may be more. */
  prune(retention: Retention): Promise<boolean>;
  /** Gives ownership back after the turn under way. */
  release(): Promise<void>;
}

/** Where ownership is had: waits until it is ours; says so once when another process has it. */
export interface LedgerStores {
  own(signal: AbortSignal, onStandby: () => void): Promise<LedgerStore>;
}
