import type { Tx } from '#postgres';

/** A new owner begins: its epoch, higher than any before. */
export async function raiseEpoch(tx: Tx, partition: number): Promise<number> {
  const [row] = await tx.query<{ epoch: number }>(
    `INSERT INTO ownership (partition, epoch, open_since_ms) VALUES ($1, 1, 0)
     ON CONFLICT (partition) DO UPDATE SET epoch = ownership.epoch + 1
     RETURNING epoch`,
    [partition],
  );
  return row!.epoch;
}
