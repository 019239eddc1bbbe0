import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Pool } from 'pg';
import { startPostgres } from '#embedded';
import { openPostgres, poolOf, type Tx } from '#postgres';
import { silentLog } from '#telemetry';
import { LEDGER_ENTITIES } from '../../apps/quota-ledger/src/entities/ledger.entities.js';
import { Ledger1763820000000 } from '../../apps/quota-ledger/src/migrations/1763820000000-ledger.js';
import { LEDGER_SCHEMA } from '../../apps/quota-ledger/src/postgres.ledger-store.js';
import type { UsageTable } from '../../apps/quota-ledger/src/sql/add-usage.js';
import { readUsage } from '../../apps/quota-ledger/src/sql/read-usage.js';
import { makeUsagePartitions } from '../../apps/quota-ledger/src/usage-partitions.js';
import type { BenchOptions, BenchResult, OwnOptions } from './bench.js';

/*
 * How long one account's day takes to read, by minutes, hours and days, from tables as full as they get. Every account and
 * integration has counts in every minute, laid down in the order of time, and an
 * account's integrations together, as checkpoints do.
 */

export const options: OwnOptions = {
  accounts: { type: 'string' },
  days: { type: 'string' },
  integrations: { type: 'string' },
};

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
const FIRST_DAY = Date.UTC(2031, 5, 1);
const READS = 200;
const FILL_LIMIT_MS = 3_600_000;
const LENGTHS: Readonly<Record<UsageTable, number>> = {
  usage_minute: MINUTE_MS,
  usage_hour: HOUR_MS,
  usage_day: DAY_MS,
};

interface Size {
  readonly accounts: number;
  readonly days: number;
  readonly integrations: number;
}

export async function run({ quick, say, signal, given }: BenchOptions): Promise<BenchResult> {
  const size = {
    accounts: Number(given['accounts'] ?? (quick ? 20 : 1_000)),
    days: Number(given['days'] ?? (quick ? 2 : 30)),
    integrations: Number(given['integrations'] ?? 3),
  };
  const folder = mkdtempSync(path.join(os.tmpdir(), 'sluice-usage-'));
  const postgres = await startPostgres({ dataDir: path.join(folder, 'postgres'), persistent: false, durable: false });
  try {
    const dataSource = await openPostgres({
      url: postgres.url,
      schema: LEDGER_SCHEMA,
      entities: LEDGER_ENTITIES,
      migrations: [Ledger1763820000000],
      applicationName: 'bench',
      poolSize: 2,
      statementTimeoutMs: FILL_LIMIT_MS,
    });
    try {
      return await measure(poolOf(dataSource), size, say, signal);
    } finally {
      await dataSource.destroy();
    }
  } finally {
    await postgres.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measure(pool: Pool, size: Size, say: BenchOptions['say'], signal: AbortSignal): Promise<BenchResult> {
  for (let day = 0; day < size.days; day += 1) {
    signal.throwIfAborted();
    await makeUsagePartitions(pool, FIRST_DAY + day * DAY_MS, silentLog);
    for (const table of Object.keys(LENGTHS) as UsageTable[]) await fill(pool, table, FIRST_DAY + day * DAY_MS, size);
    say(`day ${day + 1} of ${size.days} is filled`);
  }
  await pool.query('VACUUM ANALYZE usage_minute, usage_hour, usage_day');
  const rows: Record<string, unknown> = {};
  for (const table of Object.keys(LENGTHS) as UsageTable[]) rows[table] = await rowsOf(pool, table);
  const tx: Pick<Tx, 'query'> = {
    query: async <R>(sql: string, params: readonly unknown[] = []) =>
      (await pool.query(sql, params as unknown[])).rows as R[],
  };
  const took: Record<string, unknown> = {};
  for (const table of Object.keys(LENGTHS) as UsageTable[]) took[table] = await timed(tx, table, size);
  return { ...size, rows, took, plan: await planOf(pool) };
}

async function fill(pool: Pool, table: UsageTable, dayMs: number, { accounts, integrations }: Size): Promise<void> {
  await pool.query(
    `INSERT INTO ${table}
     SELECT 'account-' || a, $1::bigint + b * $2::bigint, 'integration-' || i, 3, 2, 1, 0, 0, 0, 0
     FROM generate_series(0, $3::integer - 1) AS b, generate_series(1, $4::integer) AS a, generate_series(1, $5::integer) AS i
     ORDER BY b, a, i`,
    [dayMs, LENGTHS[table], DAY_MS / LENGTHS[table], accounts, integrations],
  );
}

async function rowsOf(pool: Pool, table: UsageTable): Promise<{ rows: number; megabytes: number }> {
  const { rows } = await pool.query<{ rows: number; megabytes: number }>(
    `SELECT sum(c.reltuples)::bigint AS rows, round(sum(pg_total_relation_size(c.oid)) / 1048576.0)::integer AS megabytes
     FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = $1::regclass AND c.reltuples > 0`,
    [table],
  );
  return rows[0]!;
}

/** Different accounts and days each time, so that little of what is read was read just before. */
async function timed(tx: Pick<Tx, 'query'>, table: UsageTable, { accounts, days }: Size): Promise<object> {
  const tookMs: number[] = [];
  let rows = 0;
  for (let read = 0; read < READS; read += 1) {
    const fromMs = FIRST_DAY + ((read * 7) % days) * DAY_MS;
    const account = `account-${1 + ((read * 131) % accounts)}`;
    const began = performance.now();
    const found = await readUsage(tx, table, {
      account,
      integration: null,
      fromMs,
      toMs: fromMs + DAY_MS,
      limitRows: 5_001,
    });
    tookMs.push(performance.now() - began);
    rows = found.length;
  }
  const sorted = tookMs.toSorted((a, b) => a - b);
  const at = (part: number): number => Math.round(sorted[Math.floor((READS - 1) * part)]! * 10) / 10;
  return { rows, p50Ms: at(0.5), p99Ms: at(0.99), mostMs: at(1) };
}

async function planOf(pool: Pool): Promise<string[]> {
  const { rows } = await pool.query<{ 'QUERY PLAN': string }>(
    `EXPLAIN (ANALYZE, BUFFERS) SELECT * FROM usage_minute
     WHERE account = 'account-7' AND starts_at_ms >= ${FIRST_DAY} AND starts_at_ms < ${FIRST_DAY + DAY_MS}
     ORDER BY starts_at_ms, integration LIMIT 5001`,
  );
  return rows.map((row) => row['QUERY PLAN']);
}
