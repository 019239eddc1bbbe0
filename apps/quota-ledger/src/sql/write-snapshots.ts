import type { Tx } from '#postgres';
import type { StoredBooks } from '../ledger.store.js';

/** Stores accounts' books as they were after a turn. */
export async function writeSnapshots(
  tx: Pick<Tx, 'query'>,
  partition: number,
  seq: number,
  snapshots: readonly StoredBooks[],
): Promise<void> {
  await tx.query(
    `INSERT INTO account_snapshot (account, partition, seq, books)
     SELECT account, $1, $2, books::json FROM unnest($3::text[], $4::text[]) AS s (account, books)
     ON CONFLICT (account) DO UPDATE SET seq = excluded.seq, books = excluded.books`,
    [partition, seq, snapshots.map(({ account }) => account), snapshots.map(({ books }) => books)],
  );
}
