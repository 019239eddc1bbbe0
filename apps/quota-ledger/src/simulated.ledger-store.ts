import type { AccountName } from '#contracts';
import type { LedgerEvent } from './domain/ledger-changes.js';
import { PARTITIONS, partitionOf } from './domain/partition.js';
import { remindedMs } from './domain/replay.js';
import type { AccountSnapshot } from './domain/snapshot.js';
import { sumUsage, USAGE_FIELDS, type UsageRowCounts } from './domain/usage.js';
import {
  type Checkpoint,
  EpochPassed,
  type LedgerStore,
  type LedgerStores,
  type LoadedPartition,
  type NewVersion,
  type StoredVersion,
  type TurnToRecord,
  type UsageBuckets,
} from './ledger.store.js';

interface StoredTurn {
  readonly seq: number;
  readonly atMs: number;
  /** JSON, as in Postgres: what was recorded doesn't change with what it was made of. */
  readonly events: string;
}

class SimulatedPartition {
  epoch = 0;
  usageSeq = 0;
  snapshotSeq = 0;
  readonly journal: StoredTurn[] = [];
}

/** What the tables of a simulated ledger hold; outlives the stores that are opened on it, as a disk does. */
export class SimulatedTables {
  readonly partitions = Array.from({ length: PARTITIONS }, () => new SimulatedPartition());
  readonly versions = new Map<AccountName, StoredVersion[]>();
  readonly snapshots = new Map<AccountName, { readonly seq: number; readonly books: string }>();
  readonly usage: Record<UsageBuckets['per'], Map<string, UsageRowCounts & { readonly account: AccountName }>> = {
    minute: new Map(),
    hour: new Map(),
    day: new Map(),
  };
  readonly owners = new Map<number, SimulatedLedgerStore>();
  readonly open = new Set<SimulatedLedgerStore>();

  /** Everything that was decided, in order, of one partition after the other. */
  events(): LedgerEvent[] {
    return this.partitions.flatMap(({ journal }) =>
      journal.flatMap(({ events }) => JSON.parse(events) as LedgerEvent[]),
    );
  }
}

/** Where simulated time comes from, and what goes wrong: called before and after each commit, may throw. */
export interface SimulatedWorld {
  readonly nowMs: () => number;
  readonly beforeCommit?: () => void;
  /** Throwing here loses the answer of a commit that did take effect. */
  readonly afterCommit?: () => void;
  /** Waits before a commit's answer, where disks take time. */
  readonly commitTakes?: () => Promise<void>;
}

/** The ledger's tables in memory, for virtual time: same promises as in Postgres. */
export class SimulatedLedgerStore implements LedgerStore {
  private readonly session = new AbortController();
  /** When its process last asked anything. */
  private askedAtMs: number;
  private suspects: ReadonlyMap<SimulatedLedgerStore, number> = new Map();

  constructor(
    private readonly tables: SimulatedTables,
    private readonly world: SimulatedWorld,
  ) {
    this.askedAtMs = world.nowMs();
    tables.open.add(this);
  }

  get ended(): AbortSignal {
    return this.session.signal;
  }

  async members(): Promise<number> {
    this.assertOpen();
    return Math.max(1, this.tables.open.size);
  }

  async take(partition: number): Promise<number | null> {
    this.assertOpen();
    const { owners, partitions } = this.tables;
    if (owners.has(partition)) return null;
    owners.set(partition, this);
    const stored = partitions[partition]!;
    stored.epoch += 1;
    return stored.epoch;
  }

  async giveBack(partition: number): Promise<void> {
    this.assertOpen();
    if (this.tables.owners.get(partition) === this) this.tables.owners.delete(partition);
  }

  async readClock(): Promise<number> {
    this.assertOpen();
    return this.world.nowMs();
  }

  async endStalled(idleMs: number): Promise<number> {
    this.assertOpen();
    const nowMs = this.world.nowMs();
    const silent = [...this.tables.open].filter((one) => one !== this && nowMs - one.askedAtMs > idleMs);
    const certain = silent.filter((one) => this.suspects.get(one) === one.askedAtMs);
    this.suspects = new Map(silent.map((one) => [one, one.askedAtMs]));
    for (const one of certain) one.end();
    return certain.length;
  }

  /** Ends this session, as Postgres does for a process that is killed or cut off. */
  end(): void {
    if (this.session.signal.aborted) return;
    this.session.abort(new Error('the session has ended'));
    this.tables.open.delete(this);
    for (const [partition, owner] of this.tables.owners) if (owner === this) this.tables.owners.delete(partition);
  }

  async load(
    partition: number,
    accounts: ReadonlyMap<AccountName, readonly StoredVersion[]>,
  ): Promise<LoadedPartition> {
    this.assertOpen();
    const { journal, snapshotSeq, usageSeq } = this.tables.partitions[partition]!;
    const nowMs = this.world.nowMs();
    const remembered = journal.findLast(({ atMs }) => atMs < nowMs - remindedMs(accounts.values()))?.seq ?? 0;
    const afterSeq = Math.min(remembered, snapshotSeq);
    return {
      accounts: [...accounts].map(([name, versions]) => {
        const stored = this.tables.snapshots.get(name);
        const snapshot = stored ? { seq: stored.seq, books: JSON.parse(stored.books) as AccountSnapshot } : null;
        return { versions, snapshot };
      }),
      turns: journal
        .filter(({ seq }) => seq > afterSeq)
        .map(({ seq, atMs, events }) => ({ seq, atMs, events: JSON.parse(events) as LedgerEvent[] })),
      usageSeq,
      lastSeq: journal.at(-1)?.seq ?? 0,
      nowMs,
    };
  }

  async record(turns: readonly TurnToRecord[]): Promise<number> {
    this.assertOpen();
    this.world.beforeCommit?.();
    this.assertOpen();
    const nowMs = this.world.nowMs();
    for (const { partition, epoch, seq, atMs, events } of turns) {
      const stored = this.tables.partitions[partition]!;
      if (this.tables.owners.get(partition) !== this || stored.epoch !== epoch) throw new EpochPassed();
      if (seq !== (stored.journal.at(-1)?.seq ?? 0) + 1)
        throw new Error(`turn ${seq} doesn't follow the journal's last`);
      stored.journal.push({ seq, atMs, events: JSON.stringify(events) });
    }
    this.world.afterCommit?.();
    await this.world.commitTakes?.();
    this.assertOpen();
    return nowMs;
  }

  async checkpoint({ partition, epoch, seq, usage, snapshots }: Checkpoint): Promise<void> {
    const stored = this.tables.partitions[partition]!;
    if (stored.epoch !== epoch || stored.usageSeq > seq) throw new EpochPassed();
    for (const per of ['minute', 'hour', 'day'] as const)
      for (const row of usage) addTo(this.tables.usage[per], per === 'minute' ? row : { ...row, startsAt: row[per] });
    for (const table of Object.values(this.tables.usage)) for (const [key, row] of table) assertAddsUp(key, row);
    stored.usageSeq = seq;
    if (!snapshots) return;
    stored.snapshotSeq = seq;
    for (const { account, books } of snapshots) this.tables.snapshots.set(account, { seq, books });
  }

  async versions(afterId: number): Promise<ReadonlyMap<AccountName, readonly StoredVersion[]>> {
    this.assertOpen();
    const newer = [...this.tables.versions].map(
      ([account, all]) => [account, all.filter(({ id }) => id > afterId)] as const,
    );
    return structuredClone(new Map(newer.filter(([, all]) => all.length > 0)));
  }

  async addVersions(versions: readonly NewVersion[], leastMs: number): Promise<void> {
    this.assertOpen();
    const { tables } = this;
    for (const version of versions) {
      const { name } = version.config;
      const id = 1 + Math.max(0, ...[...tables.versions.values()].flat().map((one) => one.id));
      const stored = { ...version, id, appliedAt: Math.max(this.world.nowMs(), leastMs) };
      tables.versions.set(name, [...(tables.versions.get(name) ?? []), stored]);
    }
  }

  async usage({ account, per, integration, fromMs, toMs, limitRows }: UsageBuckets): Promise<UsageRowCounts[]> {
    const rows = [...this.tables.usage[per].values()].filter(
      (row) =>
        row.account === account &&
        (integration === null || row.integration === integration) &&
        row.startsAt >= fromMs &&
        row.startsAt < toMs,
    );
    return sumUsage(rows)
      .toSorted((a, b) => a.startsAt - b.startsAt || (a.integration < b.integration ? -1 : 1))
      .slice(0, limitRows);
  }

  async prune(): Promise<boolean> {
    return false;
  }

  async close(): Promise<void> {
    this.end();
  }

  private assertOpen(): void {
    this.session.signal.throwIfAborted();
    this.askedAtMs = this.world.nowMs();
  }
}

/** Simulated tables can always be reached. */
export class SimulatedLedgerStores implements LedgerStores {
  constructor(
    private readonly tables: SimulatedTables,
    private readonly world: SimulatedWorld,
  ) {}

  async open(): Promise<SimulatedLedgerStore> {
    return new SimulatedLedgerStore(this.tables, this.world);
  }
}

/** One account's versions and the partition that its decisions are in, for tests that look into the tables. */
export function partitionIn(tables: SimulatedTables, account: AccountName): SimulatedTables['partitions'][number] {
  return tables.partitions[partitionOf(account)]!;
}

type Row = UsageRowCounts & { readonly account: AccountName };

function addTo(table: Map<string, Row>, { account, integration, startsAt, ...counts }: Row): void {
  const key = `${account} ${integration} ${startsAt}`;
  const row: Row = structuredClone(table.get(key)) ?? { account, integration, startsAt, ...NO_CALLS };
  for (const field of USAGE_FIELDS) row[field] += counts[field];
  table.set(key, row);
}

const NO_CALLS = { granted: 0, used: 0, returned: 0, expired: 0, open: 0, crmRefused: 0, wouldRefuse: 0 };

function assertAddsUp(key: string, { granted, used, returned, expired, open }: Row): void {
  if (Math.min(used, returned, expired, open) < 0 || granted !== used + returned + expired + open)
    throw new Error(`the counts of ${key} don't add up`);
}
