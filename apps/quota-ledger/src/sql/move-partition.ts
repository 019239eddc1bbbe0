import type { Tx } from '#postgres';

/*
 * Its commit need not wait for the disk, and would keep a turn's from it: what is lost with a server that falls is in the
 * journal, which is durable, and is stored again from there.
 */

/** Usage is stored up to a turn, and where told so snapshots are. False where another epoch has begun: then nothing is changed. */
export async function movePartition(
  tx: Pick<Tx, 'query'>,
  { partition, epoch, seq }: { readonly partition: number; readonly epoch: number; readonly seq: number },
  withSnapshots: boolean,
): Promise<boolean> {
  const rows = await tx.query(
    `UPDATE partition SET usage_seq = $3, snapshot_seq = CASE WHEN $4 THEN $3 ELSE snapshot_seq END
     WHERE id = $1 AND epoch = $2 AND usage_seq <= $3
     RETURNING set_config('synchronous_commit', 'off', true)`,
    [partition, epoch, seq, withSnapshots],
  );
  return rows.length === 1;
}
