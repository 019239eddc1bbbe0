import type { Tx } from '#postgres';
import { grantColumns, type GrantRow } from './grant-row.js';

/** The grants of these ids, as far as the table remembers. */
export async function findGrantsById(tx: Tx, ids: readonly string[]): Promise<GrantRow[]> {
  return tx.query<GrantRow>(`SELECT ${grantColumns('g')} FROM call_grant g WHERE g.id = ANY ($1::text[])`, [ids]);
}
