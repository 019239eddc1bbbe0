import { type AccountName, isoOf } from '#contracts';
import { windowAt } from '#limits';
import { type LockSession, type Tx } from '#postgres';
import { partitionOf } from './domain/partition.js';
import { type Counts, type JournalFault, Recount } from './domain/recount.js';
import { addUsage, type UsageTable } from './sql/add-usage.js';
import { lockPartition } from './sql/lock-partition.js';
import { readClock } from './sql/read-clock.js';
import { readCountedAccounts } from './sql/read-counted-accounts.js';
import { readJournal } from './sql/read-journal.js';
import { readPartition } from './sql/read-partition.js';
import { type AuditedPartition, readPartitions } from './sql/read-partitions.js';
import { readSeqAt } from './sql/read-seq-at.js';
import { readUsageBetween } from './sql/read-usage-between.js';
import { readVersions, type VersionRow } from './sql/read-versions.js';

/*
 * Whether the usage tables say what the journal does. All is read in one snapshot of the database: there a partition's usage
 * is exactly that of its turns up to `usage_seq`, whatever goes on meanwhile. Differences are kept as sums (stored − counted),
 * so that it doesn't matter in which order a minute's turns and its row are met, and what comes to nothing is forgotten.
 */

const REPAIR_LOCK = 'sluice quota-ledger repair';
const STATEMENT_LIMIT_MS = 60_000;
const TURNS_READ_LIMIT = 2_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
/** A turn counts in no minute later than this after it. */
const AHEAD_MS = MINUTE_MS;
/** Turns are read from so long before the span, so that the grants under way then are known. */
const BEFORE_MS = HOUR_MS;
/** Rows of usage are read this long after the journal's turns have passed them. */
const BEHIND_MS = 900_000;
const DIFFERENCES_TOLD_LIMIT = 1_000;
const SAY_EVERY_TURNS = 100_000;
const EVERY_TURN = Number.MAX_SAFE_INTEGER;
const FIELDS = ['granted', 'used', 'returned', 'expired', 'open', 'crmRefused', 'wouldRefuse'] as const;

export interface AuditOptions {
  /** Null = all. */
  readonly account: AccountName | null;
  /** Minutes that begin in [fromMs, toMs); null = all that can be judged. */
  readonly fromMs: number | null;
  readonly toMs: number | null;
  readonly repair: boolean;
  /** Counts by the minute that are older may have been removed. */
  readonly keepMinutesMs: number;
  readonly say: (line: string) => void;
}

/** Stored more (or less) than the journal tells; of hours and days: than their minutes, as they are stored, come to. */
export interface UsageDifference {
  readonly difference: UsageTable;
  readonly account: AccountName;
  readonly integration: string;
  readonly startsAt: string;
  readonly off: Partial<Record<(typeof FIELDS)[number], number>>;
}

export interface AuditReport {
  turns: number;
  events: number;
  grants: number;
  accounts: number;
  /** Settled or expired in the span that was read, but granted before it. */
  grantsFromBefore: number;
  readonly differences: (UsageDifference | ({ readonly difference: 'journal' } & JournalFault))[];
  /** All there are, also those that are too many to be told. */
  differencesFound: number;
  /** Buckets of counted calls that were corrected. */
  repaired: number;
  /** Partitions left as they are, for what is wrong with their journal. */
  readonly notRepaired: number[];
  ok: boolean;
}

/** Another repair is under way. */
export class RepairUnderWay extends Error {
  readonly code = 'repair_under_way';
  constructor() {
    super('another repair is under way; wait for its end');
    this.name = 'RepairUnderWay';
  }
}

/** A partition has another owner than when it was audited. */
export class OwnerChanged extends Error {
  readonly code = 'owner_changed';
  constructor(partition: number) {
    super(`partition ${partition} has a new owner since it was audited: run the repair again`);
    this.name = 'OwnerChanged';
  }
}

/**
 * Compares the usage tables with the journal, and where told so corrects them.
 *
 * @throws RepairUnderWay, OwnerChanged: what was corrected until then is in the tables
 */
export async function audit(session: LockSession, options: AuditOptions): Promise<AuditReport> {
  // Two repairs that found the same difference would correct it twice.
  if (options.repair && !(await session.tryLock(REPAIR_LOCK))) throw new RepairUnderWay();
  const nowMs = await readClock(session);
  const audited = await session.transaction(
    async (tx) => {
      const configs = await readVersions(tx, 0);
      const accounts = (await readCountedAccounts(tx)).filter(
        (name) => options.account === null || name === options.account,
      );
      if (options.account !== null && accounts.length === 0)
        throw new Error(`the ledger has never heard of an account ${options.account}`);
      const done: PartitionAudit[] = [];
      for (const partition of await readPartitions(tx)) {
        const ours = accounts.filter((account) => partitionOf(account) === partition.id);
        if (options.account !== null && ours.length === 0) continue;
        const one = new PartitionAudit(tx, partition, ours, calendarOf(configs), options);
        await one.run(nowMs);
        done.push(one);
      }
      return done;
    },
    { isolation: 'repeatable read', statementTimeoutMs: STATEMENT_LIMIT_MS },
  );
  const report = reportOf(audited);
  if (!options.repair) return report;
  for (const one of audited)
    if (one.faults.length > 0) report.notRepaired.push(one.partition.id);
    else report.repaired += await one.repair(session);
  return report;
}

function reportOf(audited: readonly PartitionAudit[]): AuditReport {
  const report: AuditReport = {
    turns: 0,
    events: 0,
    grants: 0,
    accounts: 0,
    grantsFromBefore: 0,
    differences: [],
    differencesFound: 0,
    repaired: 0,
    notRepaired: [],
    ok: true,
  };
  for (const one of audited) {
    const { turns, events, granted, accounts, grantsFromBefore } = one.recount;
    report.turns += turns;
    report.events += events;
    report.grants += granted;
    report.accounts += accounts.size;
    report.grantsFromBefore += grantsFromBefore;
    const found = one.differences();
    report.differencesFound += found.length - one.faults.length + one.faultsFound;
    report.differences.push(...found.slice(0, Math.max(0, DIFFERENCES_TOLD_LIMIT - report.differences.length)));
  }
  report.ok = report.differencesFound === 0;
  return report;
}

/** One bucket's difference: stored − counted. */
interface Off {
  readonly account: AccountName;
  readonly integration: string;
  readonly startsAt: number;
  readonly counts: number[];
}

class PartitionAudit {
  readonly recount: Recount;
  /** What is wrong with the journal; the first of it where it is much. */
  readonly faults: JournalFault[] = [];
  faultsFound = 0;
  private readonly off: Record<UsageTable, Map<string, Off>> = {
    usage_minute: new Map(),
    usage_hour: new Map(),
    usage_day: new Map(),
  };
  private fromMs = 0;
  private readonly toMs: number;
  /** Rows of buckets that begin before are read. */
  private readTo = 0;

  constructor(
    private readonly tx: Pick<Tx, 'query'>,
    readonly partition: AuditedPartition,
    private readonly accounts: readonly AccountName[],
    private readonly calendar: Calendar,
    private readonly options: AuditOptions,
  ) {
    this.toMs = options.toMs ?? Number.MAX_SAFE_INTEGER;
    const known = new Set(accounts);
    this.recount = new Recount({
      partition: partition.id,
      isOurs: (account) => partitionOf(account) === partition.id,
      minuteMsOf: (account, version, atMs) => calendar.minuteMsOf(account, version, atMs),
      fault: (fault) => {
        this.faultsFound += 1;
        if (this.faults.length < DIFFERENCES_TOLD_LIMIT) this.faults.push(fault);
      },
      count: (account, integration, startsAt, counts) => {
        if (known.has(account) && this.isLookedAt(startsAt))
          this.add('usage_minute', { account, integration, startsAt }, counts, -1);
      },
    });
  }

  async run(nowMs: number): Promise<void> {
    const { tx, partition, options } = this;
    const { fromMs, say } = options;
    this.fromMs = Math.max(fromMs ?? 0, startOfDay(nowMs - options.keepMinutesMs) + DAY_MS, 0);
    let afterSeq = fromMs === null ? 0 : await readSeqAt(tx, partition.id, fromMs - BEFORE_MS);
    for (let begun = false; ; begun = true) {
      const rows = await readJournal(tx, partition.id, afterSeq, EVERY_TURN, TURNS_READ_LIMIT);
      const [first] = rows;
      // What is counted by turns that are no longer there, or not read, can't be judged.
      if (!begun && first && first.seq > afterSeq + 1) this.fromMs = Math.max(this.fromMs, first.atMs + AHEAD_MS);
      if (!begun) this.readTo = this.fromMs;
      for (const row of rows) {
        this.recount.tell({ ...row, partition: partition.id }, row.seq <= partition.usageSeq);
        if (this.recount.turns % SAY_EVERY_TURNS === 0)
          say(`partition ${partition.id}: ${this.recount.turns} turns, at ${isoOf(row.atMs)}`);
      }
      const last = rows.at(-1);
      if (!last) break;
      afterSeq = last.seq;
      if (last.atMs - BEHIND_MS >= this.readTo + HOUR_MS) await this.compareUntil(last.atMs - BEHIND_MS);
    }
    await this.compareUntil(Number.MAX_SAFE_INTEGER);
    say(`partition ${partition.id}: ${this.recount.turns} turns, ${this.faultsFound} faults in the journal`);
  }

  differences(): AuditReport['differences'] {
    const usage = (Object.keys(this.off) as UsageTable[]).flatMap((table) =>
      [...this.off[table].values()].map(({ account, integration, startsAt, counts }): UsageDifference => {
        const named = FIELDS.flatMap((field, index) => (counts[index] === 0 ? [] : [[field, counts[index]!] as const]));
        return { difference: table, account, integration, startsAt: isoOf(startsAt), off: Object.fromEntries(named) };
      }),
    );
    return [...this.faults.map((fault) => ({ difference: 'journal' as const, ...fault })), ...usage];
  }

  /**
   * Adds what is missing and takes away what is too much, by changes: they hold whatever was counted since. One transaction
   * for each account and day. Returns how many buckets were corrected.
   */
  async repair(session: LockSession): Promise<number> {
    let corrected = 0;
    for (const [table, from] of [
      ['usage_hour', 'hour'],
      ['usage_day', 'day'],
    ] as const)
      // Hours and days were compared with their minutes as they are stored; these change too.
      for (const { account, integration, startsAt, counts } of this.off.usage_minute.values()) {
        const bucket = this.bucketOf(account, from, startsAt);
        if (bucket !== null) this.add(table, { account, integration, startsAt: bucket }, counts, 1);
      }
    this.forgetNothings();
    const days = new Map<string, [UsageTable, Off][]>();
    for (const table of Object.keys(this.off) as UsageTable[])
      for (const one of this.off[table].values()) {
        const day = `${one.account} ${startOfDay(one.startsAt)}`;
        days.set(day, [...(days.get(day) ?? []), [table, one]]);
      }
    for (const offs of days.values()) {
      await session.transaction((tx) => this.correct(tx, offs));
      corrected += offs.length;
    }
    return corrected;
  }

  private async correct(tx: Tx, offs: readonly [UsageTable, Off][]): Promise<void> {
    const { id, epoch } = this.partition;
    await lockPartition(tx, id);
    if ((await readPartition(tx, id))?.epoch !== epoch) throw new OwnerChanged(id);
    for (const table of Object.keys(this.off) as UsageTable[]) {
      const rows = offs.filter(([of]) => of === table).map(([, one]) => correctionOf(one));
      if (rows.length > 0) await addUsage(tx, table, rows);
    }
  }

  /** Takes the rows of buckets that begin before an instant into account. */
  private async compareUntil(untilMs: number): Promise<void> {
    const span = { fromMs: this.readTo, toMs: Math.min(untilMs, this.toMs) };
    if (span.toMs <= span.fromMs) return;
    this.readTo = span.toMs;
    const { tx, accounts } = this;
    for (const { counts, ...row } of await readUsageBetween(tx, 'usage_minute', accounts, span)) {
      this.add('usage_minute', row, counts, 1);
      for (const [table, per] of [
        ['usage_hour', 'hour'],
        ['usage_day', 'day'],
      ] as const) {
        const startsAt = this.bucketOf(row.account, per, row.startsAt);
        if (startsAt !== null) this.add(table, { ...row, startsAt }, counts, -1);
      }
    }
    for (const [table, per] of [
      ['usage_hour', 'hour'],
      ['usage_day', 'day'],
    ] as const)
      for (const { counts, ...row } of await readUsageBetween(tx, table, accounts, span))
        if (this.bucketOf(row.account, per, row.startsAt) !== null) this.add(table, row, counts, 1);
    this.forgetNothings();
  }

  private isLookedAt(startsAt: number): boolean {
    return startsAt >= this.fromMs && startsAt < this.toMs;
  }

  /** The hour or day that a minute belongs to; null where it isn't looked at as a whole. */
  private bucketOf(account: AccountName, per: 'hour' | 'day', at: number): number | null {
    const { startsAt, endsAt } = this.calendar.bucketOf(account, per, at);
    const since = Math.max(this.fromMs, this.calendar.sameSince(account));
    return startsAt >= since && endsAt <= this.toMs ? startsAt : null;
  }

  private add(table: UsageTable, of: Omit<Off, 'counts'>, counts: readonly number[], sign: 1 | -1): void {
    const { account, integration, startsAt } = of;
    const key = `${account} ${integration} ${startsAt}`;
    let known = this.off[table].get(key);
    if (!known) this.off[table].set(key, (known = { account, integration, startsAt, counts: FIELDS.map(() => 0) }));
    for (const index of FIELDS.keys()) known.counts[index]! += sign * counts[index]!;
  }

  private forgetNothings(): void {
    for (const table of Object.values(this.off))
      for (const [key, { counts }] of table) if (counts.every((count) => count === 0)) table.delete(key);
  }
}

function correctionOf({ counts, ...of }: Off): Parameters<typeof addUsage>[2][number] {
  const [granted, used, returned, expired, open, crmRefused, wouldRefuse] = counts.map((count) => -count) as Counts;
  return { ...of, granted, used, returned, expired, open, crmRefused, wouldRefuse };
}

function startOfDay(atMs: number): number {
  return Math.floor(atMs / DAY_MS) * DAY_MS;
}

/** How accounts count time, by the versions of their configuration. */
interface Calendar {
  minuteMsOf(account: AccountName, version: number | null, atMs: number): number;
  bucketOf(
    account: AccountName,
    per: 'hour' | 'day',
    at: number,
  ): { readonly startsAt: number; readonly endsAt: number };
  /** From when on an account's hours and days have been what they are. */
  sameSince(account: AccountName): number;
}

function calendarOf(rows: readonly VersionRow[]): Calendar {
  const versions = new Map<AccountName, VersionRow[]>();
  for (const row of rows) versions.set(row.account, [...(versions.get(row.account) ?? []), row]);
  const buckets = new Map<string, ReturnType<Calendar['bucketOf']>>();
  const scaleOf = (row: VersionRow | undefined): number => row?.config.crm.timeScale ?? 1;
  const anchorOf = (row: VersionRow | undefined): string =>
    (scaleOf(row) === 1 ? row?.config.limits.find(({ name }) => name === 'day')?.anchor : undefined) ?? 'UTC';
  return {
    minuteMsOf: (account, version, atMs) => {
      const all = versions.get(account) ?? [];
      const row =
        version === null
          ? (all.findLast(({ appliedAt }) => appliedAt <= atMs) ?? all[0])
          : all.find((one) => one.version === version);
      return MINUTE_MS / scaleOf(row);
    },
    bucketOf: (account, per, at) => {
      // Neighbouring minutes mostly lie in the same one, and a time zone's days are dear to work out.
      const key = `${account} ${per}`;
      const last = buckets.get(key);
      if (last && at >= last.startsAt && at < last.endsAt) return last;
      const newest = versions.get(account)?.at(-1);
      const lengthMs = (per === 'hour' ? HOUR_MS : DAY_MS) / scaleOf(newest);
      const bucket = windowAt({ lengthMs, anchor: per === 'hour' ? 'UTC' : anchorOf(newest) }, at);
      buckets.set(key, bucket);
      return bucket;
    },
    sameSince: (account) => {
      const all = versions.get(account) ?? [];
      const changed = all.findLast(
        (row, index) =>
          index > 0 && (scaleOf(row) !== scaleOf(all[index - 1]) || anchorOf(row) !== anchorOf(all[index - 1])),
      );
      // Calls of before may be counted a while later, in the hours and days of now.
      return changed ? changed.appliedAt + DAY_MS : 0;
    },
  };
}
