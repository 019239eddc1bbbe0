import type { Tx } from '#postgres';
import { rankOfPriority } from '../domain/write.js';
import type { AskedPlace } from '../write.store.js';

/** Notes that the ledger is about to be asked; false where the note is already being given back. */
export async function askForPlace(
  tx: Tx,
  account: string,
  { requestId, kind, priority }: AskedPlace,
): Promise<boolean> {
  const noted = await tx.query(
    `INSERT INTO asked (account, request_id, kind, priority) VALUES ($1, $2, $3, $4)
     ON CONFLICT (request_id) DO UPDATE SET asked_at = clock_timestamp() WHERE NOT asked.given_up
     RETURNING request_id`,
    [account, requestId, kind, rankOfPriority(priority)],
  );
  return noted.length > 0;
}
