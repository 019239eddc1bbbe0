import { inTransaction, LockSession, type Tx } from '#postgres';
import type { Log } from '#telemetry';
import type { Pool } from 'pg';
import type { AccountName } from '#contracts';
import { REMEMBERED_MS } from './domain/books.js';
import { PARTITIONS } from './domain/partition.js';
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
import { beat } from './sql/beat.js';
import { insertVersions } from './sql/insert-versions.js';
import { movePartition } from './sql/move-partition.js';
import { pruneJournal } from './sql/prune-journal.js';
import { pruneUsage } from './sql/prune-usage.js';
import { raiseEpoch } from './sql/raise-epoch.js';
import { readJournal } from './sql/read-journal.js';
import { readPartition } from './sql/read-partition.js';
import { readSeqAt } from './sql/read-seq-at.js';
import { readSnapshots } from './sql/read-snapshots.js';
import { readStalled } from './sql/read-stalled.js';
import { readUsage } from './sql/read-usage.js';
import { readVersions, type VersionRow } from './sql/read-versions.js';
import { recordTurn } from './sql/record-turn.js';
import { writeSnapshots } from './sql/write-snapshots.js';

/** The ledger's schema. */
export const LEDGER_SCHEMA = 'quota_ledger';

const MEMBERS = 'sluice quota-ledger members';
/** Reading a partition takes longer than a turn may. */
const LOAD_LIMIT_MS = 60_000;
/** Rows removed by one statement of pruning. */
const PRUNED_ROWS_LIMIT = 5_000;
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
      return new PostgresLedgerStore(session, pool);
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
  ) {}

  get ended(): AbortSignal {
    return this.session.ended;
  }

  async members(): Promise<number> {
    return Math.max(1, await this.session.holders(MEMBERS));
  }

  async take(partition: number): Promise<number | null> {
    return (await this.session.tryLock(lockOf(partition))) ? raiseEpoch(this.session, partition) : null;
  }

  giveBack(partition: number): Promise<void> {
    return this.session.unlock(lockOf(partition));
  }

  beat(partitions: readonly number[]): Promise<number> {
    return beat(this.session, partitions);
  }

  async endStalled(stalledMs: number): Promise<number> {
    let ended = 0;
    for (const partition of await readStalled(this.session, stalledMs))
      ended += await this.session.endHolders(lockOf(partition));
    return ended;
  }

  load(partition: number, accounts: ReadonlyMap<AccountName, readonly StoredVersion[]>): Promise<LoadedPartition> {
    return this.session.transaction(
      async (tx) => {
        const row = await readPartition(tx, partition);
        if (!row) throw new EpochPassed();
        const snapshots = new Map((await readSnapshots(tx, partition)).map((one) => [one.account, one]));
        const remembered = await readSeqAt(tx, partition, row.nowMs - REMEMBERED_MS);
        const turns = await readJournal(tx, partition, Math.min(remembered, row.snapshotSeq), EVERY_TURN, EVERY_TURN);
        return {
          accounts: [...accounts].map(([name, versions]) => ({ versions, snapshot: snapshots.get(name) ?? null })),
          turns: turns.map(({ seq, atMs, events }) => ({ seq, atMs, events: JSON.parse(events) })),
          usageSeq: row.usageSeq,
          lastSeq: row.lastSeq,
          nowMs: row.nowMs,
        };
      },
      { isolation: 'repeatable read', statementTimeoutMs: LOAD_LIMIT_MS },
    );
  }

  async record(turns: readonly TurnToRecord[]): Promise<number> {
    const { recorded, nowMs } = await recordTurn(this.session, turns);
    if (recorded !== turns.length) throw new EpochPassed();
    return nowMs;
  }

  checkpoint({ partition, epoch, seq, usage, snapshots }: Checkpoint): Promise<void> {
    return inTransaction(this.pool, async (tx) => {
      if (!(await movePartition(tx, { partition, epoch, seq }, snapshots !== null))) throw new EpochPassed();
      if (usage.length > 0) {
        await addUsage(tx, 'usage_minute', usage);
        await addUsage(tx, 'usage_hour', bucketed(usage, 'hour'));
        await addUsage(tx, 'usage_day', bucketed(usage, 'day'));
      }
      if (snapshots && snapshots.length > 0) await writeSnapshots(tx, partition, seq, snapshots);
    });
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
    const nowMs = await this.beat([]);
    const removed = [
      await pruneJournal(this.onPool(), nowMs - journalMs, PRUNED_ROWS_LIMIT),
      await pruneUsage(this.onPool(), 'usage_minute', nowMs - minutesMs, PRUNED_ROWS_LIMIT),
      await pruneUsage(this.onPool(), 'usage_hour', nowMs - daysMs, PRUNED_ROWS_LIMIT),
      await pruneUsage(this.onPool(), 'usage_day', nowMs - daysMs, PRUNED_ROWS_LIMIT),
    ];
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
