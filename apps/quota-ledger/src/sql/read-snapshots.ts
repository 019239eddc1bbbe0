import type { Tx } from '#postgres';
import type { AccountSnapshot } from '../domain/snapshot.js';

export interface SnapshotRow {
  readonly account: string;
  readonly seq: number;
  readonly books: AccountSnapshot;
}

/** The newest stored books of a partition's accounts. */
export async function readSnapshots(tx: Pick<Tx, 'query'>, partition: number): Promise<SnapshotRow[]> {
  return tx.query<SnapshotRow>(`SELECT account, seq, books FROM account_snapshot WHERE partition = $1`, [partition]);
}
