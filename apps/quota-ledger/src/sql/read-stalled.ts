import type { LockSession, Prepared } from '#postgres';

const STALLED: Prepared = {
  name: 'read-stalled',
  text: `SELECT id FROM partition
    WHERE seen_ms < ceil(extract(epoch FROM clock_timestamp()) * 1000)::bigint - $1::bigint ORDER BY id`,
};

/** Partitions whose owner has not said for that long that it lives. */
export async function readStalled(on: Pick<LockSession, 'statement'>, stalledMs: number): Promise<number[]> {
  const rows = await on.statement<{ id: number }>(STALLED, [stalledMs]);
  return rows.map(({ id }) => id);
}
