import type { Tx } from '#postgres';
import type { AskedNext } from '../write.store.js';

/** A question about an item didn't decide it yet. */
export async function askItemAgain(tx: Tx, callId: string, index: number, next: AskedNext): Promise<void> {
  await tx.query(
    `UPDATE item SET asks = asks + $5, cursor = $3, ask_at = clock_timestamp() + $4 * interval '1 millisecond'
     WHERE call_id = $1 AND item_index = $2 AND state = 'unknown'`,
    [callId, index, next.cursor, next.inMs, next.counted ? 1 : 0],
  );
}
