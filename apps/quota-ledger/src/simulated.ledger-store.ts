import type { AccountName } from '#contracts';
import { openBooks } from './domain/books.js';
import { type CallRun, callsOf, runsOf } from './domain/call-runs.js';
import type { Grant } from './domain/grant.js';
import type {
  Closing,
  ForeignCalls,
  HoldTaken,
  LedgerChanges,
  LedgerEvent,
  UsageChange,
} from './domain/ledger-changes.js';
import { memoryMs } from './domain/rebuild.js';
import {
  type Asked,
  type CountedCalls,
  foundKey,
  type Gathered,
  type LedgerStore,
  type LedgerStores,
  type LoadedLedger,
  type StoredVersion,
  type UsageBuckets,
  type VersionChanges,
} from './ledger.store.js';

type StoredGrant = Omit<Grant, 'calls'> & {
  readonly account: AccountName;
  readonly runs: readonly CallRun[];
  readonly keys: string;
};

/** What the tables of a simulated ledger hold; outlives the stores that are opened on it, as a disk does. */
export class SimulatedTables {
  epoch = 0;
  readonly versions = new Map<AccountName, StoredVersion[]>();
  readonly grants = new Map<string, StoredGrant>();
  readonly minutes = new Map<string, UsageChange>();
  readonly days = new Map<string, UsageChange>();
  readonly holds = new Map<string, HoldTaken>();
  readonly closings: Closing[] = [];
  readonly foreign: ForeignCalls[] = [];
  readonly events: LedgerEvent[] = [];
}

/** Where simulated time comes from, and what goes wrong: called before and after each commit, may throw. */
export interface SimulatedWorld {
  readonly nowMs: () => number;
  readonly beforeCommit?: () => void;
  /** Throwing here loses the answer of a commit that did take effect. */
  readonly afterCommit?: () => void;
}

/** The ledger's tables in memory, for virtual time: same promises as in Postgres, one owner at a time by epoch. */
export class SimulatedLedgerStore implements LedgerStore {
  readonly epoch: number;
  private readonly owned = new AbortController();

  constructor(
    private readonly tables: SimulatedTables,
    private readonly world: SimulatedWorld,
  ) {
    tables.epoch += 1;
    this.epoch = tables.epoch;
  }

  get ended(): AbortSignal {
    return this.owned.signal;
  }

  async load(account?: AccountName): Promise<LoadedLedger> {
    this.assertOwner();
    const nowMs = this.world.nowMs();
    const names = [...this.tables.versions.keys()].filter((name) => account === undefined || name === account);
    return { nowMs, accounts: names.map((name) => this.loadOne(name, nowMs)) };
  }

  private loadOne(name: AccountName, nowMs: number): LoadedLedger['accounts'][number] {
    const { versions, grants, holds, closings, foreign } = this.tables;
    const all = versions.get(name) ?? [];
    const sinceMs = nowMs - memoryMs(openBooks(all.slice(-1)));
    return {
      versions: all.filter((_, index) => (all[index + 1]?.appliedAt ?? Number.MAX_SAFE_INTEGER) >= sinceMs),
      grants: [...grants.values()]
        .filter((grant) => grant.account === name)
        .map(readGrant)
        .filter((grant) => grant.arrivesBy >= sinceMs || grant.calls.some(({ state }) => state === 'open')),
      holds: [...holds.values()].filter((hold) => hold.account === name),
      closings: closings.filter((closing) => closing.account === name && closing.until > nowMs),
      foreign: foreign.filter((calls) => calls.account === name && calls.at >= sinceMs),
    };
  }

  async turn({ requests, grantIds }: Asked, decide: (gathered: Gathered) => LedgerChanges): Promise<void> {
    this.assertOwner();
    const asked = new Set(requests.map((one) => foundKey(one.account, one.integration, one.requestId)));
    const byRequest = new Map<string, Grant>();
    const byId = new Map<string, Grant & { account: AccountName }>();
    for (const stored of this.tables.grants.values()) {
      const key = foundKey(stored.account, stored.integration, stored.requestId);
      if (asked.has(key)) byRequest.set(key, readGrant(stored));
      if (grantIds.includes(stored.id)) byId.set(stored.id, { ...readGrant(stored), account: stored.account });
    }
    const changes = decide({ nowMs: this.world.nowMs(), byRequest, byId });
    this.world.beforeCommit?.();
    this.assertOwner();
    this.record(changes);
    this.world.afterCommit?.();
  }

  async versions(): Promise<ReadonlyMap<AccountName, readonly StoredVersion[]>> {
    return structuredClone(this.tables.versions);
  }

  async apply({ versions, changes }: VersionChanges, leastMs: number): Promise<void> {
    this.assertOwner();
    for (const version of versions) {
      const { name } = version.config;
      const all = this.tables.versions.get(name) ?? [];
      this.tables.versions.set(name, [...all, { ...version, appliedAt: Math.max(this.world.nowMs(), leastMs) }]);
    }
    this.record(changes);
  }

  async usage({ account, per, integration, fromMs, toMs, hourMs, limitRows }: UsageBuckets): Promise<CountedCalls[]> {
    const sums = new Map<string, UsageChange>();
    for (const row of (per === 'day' ? this.tables.days : this.tables.minutes).values()) {
      if (row.account !== account || (integration !== null && row.integration !== integration)) continue;
      if (row.startsAt < fromMs || row.startsAt >= toMs) continue;
      const startsAt = per === 'hour' ? Math.floor(row.startsAt / hourMs) * hourMs : row.startsAt;
      addTo(sums, { ...row, startsAt });
    }
    const sorted = [...sums.values()].toSorted(
      (a, b) => a.startsAt - b.startsAt || (a.integration < b.integration ? -1 : 1),
    );
    return sorted.slice(0, limitRows);
  }

  async setOpenSince(): Promise<void> {
    // Everything is read at every load.
  }

  async prune(): Promise<boolean> {
    return false;
  }

  async release(): Promise<void> {
    this.owned.abort();
  }

  private assertOwner(): void {
    if (this.tables.epoch !== this.epoch || this.owned.signal.aborted) {
      this.owned.abort();
      throw new Error('another owner has begun');
    }
  }

  private record(changes: LedgerChanges): void {
    const { tables } = this;
    for (const { account, grant } of changes.grantsMade.values()) {
      const twice = [...tables.grants.values()].some(
        (one) => one.account === account && one.integration === grant.integration && one.requestId === grant.requestId,
      );
      if (twice || tables.grants.has(grant.id)) throw new Error('a request has a grant already');
    }
    for (const { account, grant } of [...changes.grantsMade.values(), ...changes.grantsChanged.values()])
      tables.grants.set(grant.id, writeGrant(account, grant));
    for (const change of changes.minutes.values()) addTo(tables.minutes, change);
    for (const change of changes.days.values()) addTo(tables.days, change);
    for (const hold of changes.holdsTaken) tables.holds.set(`${hold.account} ${hold.id}`, hold);
    for (const { account, holdId } of changes.holdsReleased) tables.holds.delete(`${account} ${holdId}`);
    tables.closings.push(...changes.closings);
    tables.foreign.push(...changes.foreign);
    tables.events.push(...changes.events);
  }
}

/** Ownership of simulated tables: whoever asks has it, and whoever had it before has it no more. */
export class SimulatedLedgerStores implements LedgerStores {
  constructor(
    private readonly tables: SimulatedTables,
    private readonly world: SimulatedWorld,
  ) {}

  async own(): Promise<LedgerStore> {
    return new SimulatedLedgerStore(this.tables, this.world);
  }
}

function addTo(rows: Map<string, UsageChange>, change: UsageChange): void {
  const key = `${change.account} ${change.integration} ${change.startsAt}`;
  const row = rows.get(key) ?? { ...change, granted: 0, used: 0, returned: 0, expired: 0, open: 0 };
  for (const field of ['granted', 'used', 'returned', 'expired', 'open'] as const) row[field] += change[field];
  const counts = [row.used, row.returned, row.expired, row.open];
  if (counts.some((count) => count < 0) || row.granted !== counts.reduce((sum, count) => sum + count, 0))
    throw new Error(`the counts of ${key} don't add up`);
  rows.set(key, row);
}

function writeGrant(account: AccountName, { calls, ...grant }: Grant): StoredGrant {
  const keys = JSON.stringify(calls.map(({ key }) => key));
  return structuredClone({ ...grant, account, runs: runsOf(calls), keys });
}

function readGrant({ runs, keys, ...grant }: StoredGrant): Grant {
  return { ...structuredClone(grant), calls: callsOf(runs, JSON.parse(keys) as Grant['calls'][number]['key'][]) };
}
