import type { Tx } from '#postgres';

/** No statement of this transaction waits longer than this for a lock. */
export async function limitLockWait(tx: Pick<Tx, 'query'>, waitMs: number): Promise<void> {
  await tx.query(`SELECT set_config('lock_timeout', $1, true)`, [String(waitMs)]);
}
