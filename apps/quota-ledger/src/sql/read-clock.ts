import type { Tx } from '#postgres';

export interface ClockReading {
  /** The database's clock, which is the ledger's: epoch ms, whole, rounded up. */
  readonly nowMs: number;
  /** The newest owner's epoch. */
  readonly epoch: number;
  readonly openSinceMs: number;
}

/** The ledger's clock and who owns it. */
export async function readClock(tx: Tx, partition: number): Promise<ClockReading> {
  const [row] = await tx.query<ClockReading>(
    `SELECT ceil(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS "nowMs", epoch, open_since_ms AS "openSinceMs"
     FROM ownership WHERE partition = $1`,
    [partition],
  );
  return row!;
}
