import type { AccountName } from '#contracts';
import type { Ownership, Prepared, Tx } from '#postgres';
import { memoryMs, type StoredAccount } from './domain/rebuild.js';
import { openBooks } from './domain/books.js';
import type { Grant } from './domain/grant.js';
import type { LedgerChanges } from './domain/ledger-changes.js';
import {
  type Asked,
  type CountedCalls,
  foundKey,
  type Gathered,
  type LedgerStore,
  type LoadedLedger,
  type Retention,
  type StoredVersion,
  type UsageBuckets,
  type VersionChanges,
} from './ledger.store.js';
import { gatherTurn } from './sql/gather-turn.js';
import { grantOf } from './sql/grant-row.js';
import { insertVersions } from './sql/insert-versions.js';
import { neverScanTables } from './sql/never-scan-tables.js';
import { type PrunedTable, pruneRows } from './sql/prune-rows.js';
import { raiseEpoch } from './sql/raise-epoch.js';
import { readClock } from './sql/read-clock.js';
import { readClosings } from './sql/read-closings.js';
import { readForeign } from './sql/read-foreign.js';
import { readGrants } from './sql/read-grants.js';
import { readHolds } from './sql/read-holds.js';
import { readUsage } from './sql/read-usage.js';
import { readVersions, type VersionRow } from './sql/read-versions.js';
import { recordTurn } from './sql/record-turn.js';
import { setOpenSince } from './sql/set-open-since.js';

/** A month of a busy account's grants is read at once: only then may a statement take longer than a turn's. */
const LOAD_LIMIT_MS = 60_000;
/** Rows removed by one statement of pruning. */
const PRUNED_ROWS_LIMIT = 5_000;

/** This process is no longer the newest owner: another has raised the epoch. */
export class EpochPassed extends Error {
  readonly code = 'epoch_passed';
  constructor(own: number) {
    super(`this owner's epoch ${own} is over: another has begun`);
    this.name = 'EpochPassed';
  }
}

/**
 * The store on the connection that holds the ownership's lock: it can commit only while it is the owner. Asserts its epoch
 * in every transaction besides.
 */
export class PostgresLedgerStore implements LedgerStore {
  private constructor(
    private readonly ownership: Ownership,
    readonly partition: number,
    readonly epoch: number,
    /** For reading what needs no ownership: other connections, so that it holds no turn up. */
    private readonly reader: Pick<Tx, 'query'>,
  ) {}

  /** Begins a new epoch on the lock just taken. */
  static async begin(ownership: Ownership, partition: number, reader: Pick<Tx, 'query'>): Promise<PostgresLedgerStore> {
    const epoch = await ownership.transaction(async (tx) => {
      await neverScanTables(tx);
      return raiseEpoch(tx, partition);
    });
    return new PostgresLedgerStore(ownership, partition, epoch, reader);
  }

  get ended(): AbortSignal {
    return this.ownership.ended;
  }

  load(account?: AccountName): Promise<LoadedLedger> {
    return this.ownership.transaction(
      async (tx) => {
        const { nowMs, openSinceMs } = await this.clock(tx);
        const versions = groupByAccount(await readVersions(tx, account ?? null));
        const holds = await readHolds(tx, account ?? null);
        const closings = await readClosings(tx, account ?? null, nowMs);
        const accounts: StoredAccount[] = [];
        for (const [name, all] of versions) {
          const sinceMs = nowMs - memoryMs(openBooks(all.slice(-1)));
          const grants = await readGrants(tx, name, { arrivesFromMs: sinceMs, openSinceMs });
          accounts.push({
            versions: inForceSince(all, sinceMs),
            grants: grants.map(grantOf),
            holds: holds.filter((hold) => hold.account === name),
            closings: closings.filter((closing) => closing.account === name),
            foreign: await readForeign(tx, name, sinceMs),
          });
        }
        return { nowMs, accounts };
      },
      { isolation: 'repeatable read', statementTimeoutMs: LOAD_LIMIT_MS },
    );
  }

  /** Two statements, and no transaction around them: nothing else writes, and the second is atomic by itself. */
  async turn(asked: Asked, decide: (gathered: Gathered) => LedgerChanges): Promise<void> {
    const gathered = await this.gather(asked);
    const changes = decide(gathered);
    if (changes.isEmpty()) return;
    if (!(await recordTurn(this.ownership, this, changes, gathered.nowMs))) throw new EpochPassed(this.epoch);
  }

  async versions(): Promise<ReadonlyMap<AccountName, readonly StoredVersion[]>> {
    return groupByAccount(await this.ownership.transaction((tx) => readVersions(tx, null)));
  }

  apply({ versions, changes }: VersionChanges, leastMs: number): Promise<void> {
    return this.ownership.transaction(async (tx) => {
      const nowMs = Math.max((await this.clock(tx)).nowMs, leastMs);
      await insertVersions(tx, versions, nowMs);
      const onTx = { statement: <R>({ text }: Prepared, params: readonly unknown[]) => tx.query<R>(text, params) };
      await recordTurn(onTx, this, changes, nowMs);
    });
  }

  usage({ account, per, integration, fromMs, toMs, hourMs, limitRows }: UsageBuckets): Promise<CountedCalls[]> {
    return readUsage(this.reader, per === 'day' ? 'usage_day' : 'usage_minute', {
      account,
      integration,
      fromMs,
      toMs,
      bucketMs: per === 'hour' ? hourMs : null,
      limitRows,
    });
  }

  async setOpenSince(openSinceMs: number): Promise<void> {
    await this.ownership.transaction((tx) => setOpenSince(tx, this.partition, openSinceMs));
  }

  async prune({ grantsMs, minutesMs, daysMs, eventsMs }: Retention): Promise<boolean> {
    const { nowMs } = await this.ownership.transaction((tx) => this.clock(tx));
    const keptMs: readonly (readonly [PrunedTable, number])[] = [
      ['call_grant', grantsMs],
      ['usage_minute', minutesMs],
      ['usage_day', daysMs],
      ['ledger_event', eventsMs],
      ['foreign_calls', grantsMs],
      ['limit_closing', grantsMs],
    ];
    let more = false;
    for (const [table, kept] of keptMs)
      more = (await pruneRows(this.reader, table, nowMs - kept, PRUNED_ROWS_LIMIT)) === PRUNED_ROWS_LIMIT || more;
    return more;
  }

  release(): Promise<void> {
    return this.ownership.release();
  }

  private async clock(tx: Tx): Promise<{ readonly nowMs: number; readonly openSinceMs: number }> {
    const reading = await readClock(tx, this.partition);
    if (reading.epoch !== this.epoch) throw new EpochPassed(this.epoch);
    return reading;
  }

  private async gather({ requests, grantIds }: Asked): Promise<Gathered> {
    const rows = await gatherTurn(this.ownership, this.partition, requests, grantIds);
    const { nowMs, epoch } = rows[0]!;
    if (epoch !== this.epoch) throw new EpochPassed(this.epoch);
    const byRequest = new Map<string, Grant>();
    const byId = new Map<string, Grant & { account: string }>();
    for (const row of rows) {
      if (row.id === null) continue;
      const grant = { ...grantOf(row), account: row.account };
      byRequest.set(foundKey(row.account, row.integration, row.request_id), grant);
      byId.set(row.id, grant);
    }
    return { nowMs, byRequest, byId };
  }
}

function groupByAccount(rows: readonly VersionRow[]): Map<AccountName, StoredVersion[]> {
  const versions = new Map<AccountName, StoredVersion[]>();
  for (const { account, ...version } of rows) {
    const known = versions.get(account);
    if (known) known.push(version);
    else versions.set(account, [version]);
  }
  return versions;
}

/** The versions that were in force at or after an instant: those applied since, and the one before them. */
function inForceSince(versions: readonly StoredVersion[], sinceMs: number): StoredVersion[] {
  return versions.filter((_, index) => (versions[index + 1]?.appliedAt ?? Number.MAX_SAFE_INTEGER) >= sinceMs);
}
