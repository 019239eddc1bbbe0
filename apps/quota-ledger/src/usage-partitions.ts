import { inTransaction, type Tx } from '#postgres';
import type { Log } from '#telemetry';
import type { Pool } from 'pg';
import type { UsageTable } from './sql/add-usage.js';
import { attachUsagePartition } from './sql/attach-usage-partition.js';
import { createUsagePartition } from './sql/create-usage-partition.js';
import { dropUsagePartition } from './sql/drop-usage-partition.js';
import { limitLockWait } from './sql/limit-lock-wait.js';
import { lockUsage } from './sql/lock-usage.js';
import { moveUsageFromOther } from './sql/move-usage-from-other.js';
import { readUsagePartitions, type UsagePartition } from './sql/read-usage-partitions.js';

/*
 * Counted calls lie in partitions by time, so that a day's question reads a day's rows, and what is too old goes by the file
 * instead of row by row. Periods are UTC's, whatever time zone an account's day has: an account's day touches two at most.
 * What no partition is there for (a clock far ahead, a duty that didn't come) is counted all the same, in `…_other`, and
 * moves as soon as its partition is made.
 */

type Period = 'day' | 'month' | 'year';

const PERIODS: Readonly<Record<UsageTable, { readonly period: Period; readonly ahead: number }>> = {
  usage_minute: { period: 'day', ahead: 3 },
  usage_hour: { period: 'month', ahead: 1 },
  usage_day: { period: 'year', ahead: 1 },
};
export const USAGE_TABLES = Object.keys(PERIODS) as UsageTable[];

/**
 * Making or dropping a partition wants its table for itself. Who uses it holds it for moments, but an audit holds it for
 * minutes, and everybody else queues behind whoever waits: so the wait is short, and the duty comes again.
 */
const LOCK_WAIT_MS = 500;
/** Long enough to move what has gathered without a partition. */
const STATEMENT_LIMIT_MS = 60_000;

/** The partitions that a table should have at an instant: the period before, the current one and some to come. */
export function wantedPartitions(table: UsageTable, atMs: number): UsagePartition[] {
  const { period, ahead } = PERIODS[table];
  return Array.from({ length: ahead + 2 }, (_, index) => partitionFor(table, period, atMs, index - 1));
}

function partitionFor(table: UsageTable, period: Period, atMs: number, offset: number): UsagePartition {
  const fromMs = periodStart(period, atMs, offset);
  const digits = { day: 10, month: 7, year: 4 }[period];
  const name = new Date(fromMs).toISOString().slice(0, digits).replaceAll('-', '');
  return { name: `${table}_${name}`, fromMs, toMs: periodStart(period, atMs, offset + 1) };
}

function periodStart(period: Period, atMs: number, offset: number): number {
  const at = new Date(atMs);
  const [year, month, day] = [at.getUTCFullYear(), at.getUTCMonth(), at.getUTCDate()];
  switch (period) {
    case 'day':
      return Date.UTC(year, month, day + offset);
    case 'month':
      return Date.UTC(year, month + offset);
    case 'year':
      return Date.UTC(year + offset, 0);
    default:
      throw new Error(`unknown period ${String(period satisfies never)}`);
  }
}

/** Makes the partitions that are missing. Never rejects: what has none is counted too, and the next duty tries again. */
export async function makeUsagePartitions(pool: Pool, nowMs: number, log: Log): Promise<void> {
  for (const table of USAGE_TABLES) {
    try {
      const there = await inTransaction(pool, (tx) => readUsagePartitions(tx, table));
      for (const wanted of wantedPartitions(table, nowMs))
        if (!there.some(({ fromMs, toMs }) => fromMs < wanted.toMs && wanted.fromMs < toMs))
          await make(pool, table, wanted);
    } catch (error) {
      log.warn('a partition of counted calls was not made; they are counted without, and it is tried again', {
        table,
        error,
      });
    }
  }
}

/** Drops partitions that ended before an instant. Never rejects: the next duty tries again. */
export async function dropUsagePartitions(pool: Pool, table: UsageTable, beforeMs: number, log: Log): Promise<void> {
  try {
    for (const { name, toMs } of await inTransaction(pool, (tx) => readUsagePartitions(tx, table)))
      if (toMs <= beforeMs) await withTable(pool, table, (tx) => dropUsagePartition(tx, name));
  } catch (error) {
    log.warn('an old partition of counted calls was not dropped; it is tried again', { table, error });
  }
}

async function make(pool: Pool, table: UsageTable, partition: UsagePartition): Promise<void> {
  await withTable(pool, table, async (tx) => {
    // Another owner of a moment ago may have been quicker.
    if ((await readUsagePartitions(tx, table)).some(({ name }) => name === partition.name)) return;
    await createUsagePartition(tx, table, partition.name);
    await moveUsageFromOther(tx, table, partition);
    await attachUsagePartition(tx, table, partition);
  });
}

function withTable(pool: Pool, table: UsageTable, work: (tx: Tx) => Promise<void>): Promise<void> {
  return inTransaction(
    pool,
    async (tx) => {
      await limitLockWait(tx, LOCK_WAIT_MS);
      await lockUsage(tx, table);
      await work(tx);
    },
    { statementTimeoutMs: STATEMENT_LIMIT_MS },
  );
}
