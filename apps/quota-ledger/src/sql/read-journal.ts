import type { Tx } from '#postgres';

export interface JournalRow {
  readonly seq: number;
  readonly epoch: number;
  readonly atMs: number;
  /** JSON. */
  readonly events: string;
}

/** Turns of a partition after one and up to another, in order. */
export async function readJournal(
  tx: Pick<Tx, 'query'>,
  partition: number,
  afterSeq: number,
  throughSeq: number,
  limit: number,
): Promise<JournalRow[]> {
  return tx.query<JournalRow>(
    `SELECT seq, epoch, at_ms AS "atMs", events FROM journal
     WHERE partition = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4`,
    [partition, afterSeq, throughSeq, limit],
  );
}
