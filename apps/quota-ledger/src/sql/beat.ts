import type { LockSession, Prepared } from '#postgres';

const BEAT: Prepared = {
  name: 'beat',
  text: `WITH clock AS (SELECT ceil(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms),
    beaten AS (UPDATE partition SET seen_ms = now_ms FROM clock WHERE id = ANY ($1::integer[]))
    SELECT now_ms AS "nowMs" FROM clock`,
};

/** The owner of these partitions lives. Returns the database's clock, epoch ms, rounded up. */
export async function beat(on: Pick<LockSession, 'statement'>, partitions: readonly number[]): Promise<number> {
  const [row] = await on.statement<{ nowMs: number }>(BEAT, [partitions]);
  return row!.nowMs;
}
