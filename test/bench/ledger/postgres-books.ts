import type pg from 'pg';

/** What Postgres itself counted until now. */
export interface PostgresBooks {
  /** Transactions that wrote something: each took a number, at once and exactly. */
  readonly writes: number;
  readonly walBytes: number;
  /** Times that its log was forced to the disk; each connection tells about a second late, and only while it is busy. */
  readonly walFsyncs: number;
}

/** Reads them; knows nothing of the ledger's tables. */
export async function postgresBooks(client: pg.Client): Promise<PostgresBooks> {
  const { rows } = await client.query<Record<keyof PostgresBooks, string>>(`
    SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS writes,
           pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::text AS "walBytes",
           (SELECT sum(fsyncs) FROM pg_stat_io WHERE object = 'wal')::text AS "walFsyncs"`);
  const [row] = rows;
  return { writes: Number(row!.writes), walBytes: Number(row!.walBytes), walFsyncs: Number(row!.walFsyncs) };
}

export function booksBetween(before: PostgresBooks, after: PostgresBooks): PostgresBooks {
  return {
    writes: after.writes - before.writes,
    walBytes: after.walBytes - before.walBytes,
    walFsyncs: after.walFsyncs - before.walFsyncs,
  };
}

/** Whether an acknowledged commit is on the disk, by the server's own word. */
export async function durability(
  client: pg.Client,
): Promise<{ readonly fsync: string; readonly synchronousCommit: string; readonly postgresVersion: string }> {
  const show = async (name: string): Promise<string> =>
    Object.values((await client.query<Record<string, string>>(`SHOW ${name}`)).rows[0]!)[0]!;
  return {
    fsync: await show('fsync'),
    synchronousCommit: await show('synchronous_commit'),
    postgresVersion: await show('server_version'),
  };
}
