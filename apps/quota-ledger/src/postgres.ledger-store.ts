import { inTransaction, LockSession, type Tx } from '#postgres';
import type { Log } from '#telemetry';
import type { Pool } from 'pg';
import type { AccountName } from '#contracts';
import type { LedgerEvent } from './domain/ledger-changes.js';
import { PARTITIONS } from './domain/partition.js';
import { remindedMs } from './domain/replay.js';
import type { JournalTurn } from './domain/replay.js';
import { sumUsage, type UsageRowCounts } from './domain/usage.js';
import {
  type Checkpoint,
  EpochPassed,
  type LedgerStore,
  type LedgerStores,
  type LoadedPartition,
  type NewVersion,
  type Retention,
  type StoredVersion,
  type TurnToRecord,
  type UsageBuckets,
  type UsageToStore,
} from './ledger.store.js';
import { addUsage, type UsageTable } from './sql/add-usage.js';
import { insertVersions } from './sql/insert-versions.js';
import { lockPartition } from './sql/lock-partition.js';
import { movePartition } from './sql/move-partition.js';
import { pruneJournal } from './sql/prune-journal.js';
import { pruneUsage } from './sql/prune-usage.js';
import { raiseEpoch } from './sql/raise-epoch.js';
import { readClock } from './sql/read-clock.js';
import { readJournal } from './sql/read-journal.js';
import { readPartition } from './sql/read-partition.js';
import { readSeqAt } from './sql/read-seq-at.js';
import { readSnapshots } from './sql/read-snapshots.js';
import { readUsage } from './sql/read-usage.js';
import { readVersions, type VersionRow } from './sql/read-versions.js';
import { recordTurn } from './sql/record-turn.js';
import { writeSnapshots } from './sql/write-snapshots.js';
import { dropUsagePartitions, makeUsagePartitions, USAGE_TABLES } from './usage-partitions.js';

/** The ledger's schema. */
export const LEDGER_SCHEMA = 'quota_ledger';

const MEMBERS = 'sluice quota-ledger members';
/** Reading a partition takes longer than a turn may. */
const LOAD_LIMIT_MS = 60_000;
/** Rows removed by one statement of pruning. */
const PRUNED_ROWS_LIMIT = 5_000;
/** A process that stands still between two statements of a checkpoint holds its partition's next owner up for so long. */
const CHECKPOINT_IDLE_LIMIT_MS = 2_000;
/** Whoever owns this partition prunes, and makes partitions of usage. */
const PRUNERS_PARTITION = 0;
/** Turns of the journal read at a time. */
const TURNS_READ_LIMIT = 2_000;
const EVERY_TURN = Number.MAX_SAFE_INTEGER;

export interface PostgresStoresOptions {
  readonly url: string;
  /** For what needs no ownership, or asserts it by the epoch: other connections, so that it holds no turn up. */
  readonly pool: Pool;
  readonly log: Log;
}

/** Ownership by advisory locks in Postgres. */
export class PostgresLedgerStores implements LedgerStores {
  constructor(private readonly options: PostgresStoresOptions) {}

  async open(signal: AbortSignal): Promise<LedgerStore> {
    const { url, pool, log } = this.options;
    signal.throwIfAborted();
    const session = await LockSession.open({
      url,
      schema: LEDGER_SCHEMA,
      applicationName: 'quota-ledger owner',
      name: 'quota-ledger',
      log,
    });
    try {
      await session.join(MEMBERS);
      return new PostgresLedgerStore(session, pool, log);
    } catch (error) {
      await session.close();
      throw error;
    }
  }
}

/**
 * The store on the connection that holds the partitions' locks: it can record only while it is their owner. Asserts their
 * epochs with every turn besides.
 */
class PostgresLedgerStore implements LedgerStore {
  constructor(
    private readonly session: LockSession,
    private readonly pool: Pool,
    private readonly log: Log,
  ) {}

  get ended(): AbortSignal {
    return this.session.ended;
  }

  async members(): Promise<number> {
    return Math.max(1, await this.session.holders(MEMBERS));
  }

  async take(partition: number): Promise<number | null> {
    const lock = lockOf(partition);
    if (!(await this.session.tryLock(lock))) return null;
    try {
      const epoch = await raiseEpoch(this.session, partition);
      if (partition === PRUNERS_PARTITION) await makeUsagePartitions(this.pool, await this.readClock(), this.log);
      return epoch;
    } catch (error) {
      // A session can have the same lock several times: what isn't given back now would be kept for ever.
      await this.session.unlock(lock).catch(() => undefined);
      throw error;
    }
  }

  giveBack(partition: number): Promise<void> {
    return this.session.unlock(lockOf(partition));
  }

  readClock(): Promise<number> {
    return readClock(this.session);
  }

  endStalled(idleMs: number): Promise<number> {
    return this.session.endStalled(MEMBERS, { idleMs, busyMs: LOAD_LIMIT_MS + idleMs });
  }

  load(partition: number, accounts: ReadonlyMap<AccountName, readonly StoredVersion[]>): Promise<LoadedPartition> {
    return this.session.transaction(
      async (tx) => {
        // A checkpoint that may still be under way, of a former owner or our own, is over now, and none begins.
        await lockPartition(tx, partition);
        const row = await readPartition(tx, partition);
        if (!row) throw new EpochPassed();
        const snapshots = new Map((await readSnapshots(tx, partition)).map((one) => [one.account, one]));
        const remembered = await readSeqAt(tx, partition, row.nowMs - remindedMs(accounts.values()));
        return {
          accounts: [...accounts].map(([name, versions]) => ({ versions, snapshot: snapshots.get(name) ?? null })),
          turns: await turnsAfter(tx, partition, Math.min(remembered, row.snapshotSeq)),
          usageSeq: row.usageSeq,
          lastSeq: row.lastSeq,
          nowMs: row.nowMs,
        };
      },
      { statementTimeoutMs: LOAD_LIMIT_MS },
    );
  }

  async record(turns: readonly TurnToRecord[]): Promise<number> {
    const { recorded, nowMs } = await recordTurn(this.session, turns);
    if (recorded !== turns.length) throw new EpochPassed();
    return nowMs;
  }

  checkpoint({ partition, epoch, seq, usage, snapshots }: Checkpoint): Promise<void> {
    const store = async (tx: Tx): Promise<void> => {
      if (!(await movePartition(tx, { partition, epoch, seq }, snapshots !== null))) throw new EpochPassed();
      if (usage.length > 0) {
        await addUsage(tx, 'usage_minute', usage);
        await addUsage(tx, 'usage_hour', bucketed(usage, 'hour'));
        await addUsage(tx, 'usage_day', bucketed(usage, 'day'));
      }
      if (snapshots && snapshots.length > 0) await writeSnapshots(tx, partition, seq, snapshots);
    };
    return inTransaction(this.pool, store, { idleTimeoutMs: CHECKPOINT_IDLE_LIMIT_MS });
  }

  async versions(afterId: number): Promise<ReadonlyMap<AccountName, readonly StoredVersion[]>> {
    return byAccount(await readVersions(this.onPool(), afterId));
  }

  async addVersions(versions: readonly NewVersion[], leastMs: number): Promise<void> {
    await this.session.transaction((tx) => insertVersions(tx, versions, leastMs));
  }

  usage({ per, ...span }: UsageBuckets): Promise<UsageRowCounts[]> {
    return readUsage(this.onPool(), `usage_${per}` satisfies UsageTable, span);
  }

  async prune({ journalMs, minutesMs, daysMs }: Retention): Promise<boolean> {
    const nowMs = await this.readClock();
    await makeUsagePartitions(this.pool, nowMs, this.log);
    const removed = [await pruneJournal(this.onPool(), nowMs - journalMs, PRUNED_ROWS_LIMIT)];
    for (const table of USAGE_TABLES) {
      const beforeMs = nowMs - (table === 'usage_minute' ? minutesMs : daysMs);
      await dropUsagePartitions(this.pool, table, beforeMs, this.log);
      removed.push(await pruneUsage(this.onPool(), table, beforeMs, PRUNED_ROWS_LIMIT));
    }
    return removed.some((rows) => rows >= PRUNED_ROWS_LIMIT);
  }

  close(): Promise<void> {
    return this.session.close();
  }

  /** One statement at a time on any connection of the pool. */
  private onPool(): Pick<Tx, 'query'> {
    return {
      query: async <R>(sql: string, params: readonly unknown[] = []) =>
        (await this.pool.query(sql, params as unknown[])).rows as R[],
    };
  }
}

function lockOf(partition: number): string {
  if (partition < 0 || partition >= PARTITIONS) throw new RangeError(`there is no partition ${partition}`);
  return `sluice quota-ledger partition ${partition}`;
}

/** Everything after a turn; a part at a time, so that whoever reads for long is seen to be alive. */
async function turnsAfter(tx: Tx, partition: number, seq: number): Promise<JournalTurn[]> {
  const turns: JournalTurn[] = [];
  for (let afterSeq = seq; ; afterSeq = turns.at(-1)!.seq) {
    const rows = await readJournal(tx, partition, afterSeq, EVERY_TURN, TURNS_READ_LIMIT);
    for (const row of rows)
      turns.push({ seq: row.seq, atMs: row.atMs, events: JSON.parse(row.events) as LedgerEvent[] });
    if (rows.length < TURNS_READ_LIMIT) return turns;
  }
}

/** Minutes added up to the hours or days that they belong to. */
function bucketed(usage: readonly UsageToStore[], per: 'hour' | 'day'): (UsageRowCounts & { account: AccountName })[] {
  const accounts = new Map<AccountName, UsageToStore[]>();
  for (const row of usage) accounts.set(row.account, [...(accounts.get(row.account) ?? []), row]);
  return [...accounts].flatMap(([account, rows]) =>
    sumUsage(rows.map((row) => ({ ...row, startsAt: row[per] }))).map((row) => ({ ...row, account })),
  );
}

function byAccount(rows: readonly VersionRow[]): Map<AccountName, StoredVersion[]> {
  const accounts = new Map<AccountName, StoredVersion[]>();
  for (const { account, ...version } of rows) accounts.set(account, [...(accounts.get(account) ?? []), version]);
  return accounts;
}
