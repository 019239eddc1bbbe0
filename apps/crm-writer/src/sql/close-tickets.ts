import type { Tx } from '#postgres';

/** Tickets that the CRM says are closed for good: nothing is appended to them any more. */
export async function closeTickets(tx: Tx, account: string, callId: string, indexes: readonly number[]): Promise<void> {
  await tx.query(
    `UPDATE interaction SET ticket_open = false
     WHERE account = $1 AND ticket_open
       AND ticket_id IN (SELECT ticket_id FROM item WHERE call_id = $2 AND item_index = ANY($3::integer[]))`,
    [account, callId, indexes],
  );
}
