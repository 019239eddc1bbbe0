import type { LockSession, Prepared } from '#postgres';

const RAISE: Prepared = {
  name: 'raise-epoch',
  text: `INSERT INTO partition (id, epoch, owned_since_ms)
    VALUES ($1, 1, ceil(extract(epoch FROM clock_timestamp()) * 1000)::bigint)
    ON CONFLICT (id) DO UPDATE SET epoch = partition.epoch + 1, owned_since_ms = excluded.owned_since_ms
    RETURNING epoch`,
};

/** A partition's new owner begins: its epoch, higher than any before. */
export async function raiseEpoch(on: Pick<LockSession, 'statement'>, partition: number): Promise<number> {
  const [row] = await on.statement<{ epoch: number }>(RAISE, [partition]);
  return row!.epoch;
}
