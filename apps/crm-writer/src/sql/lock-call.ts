import type { Tx } from '#postgres';

export interface LockedCall {
  readonly grant_id: string;
  readonly writer: 'single' | 'batch' | 'contact';
}

/** Locks a call whose given attempt hasn't been recorded to its end; null where it has, or a later attempt was sent. */
export async function lockCall(tx: Tx, callId: string, sends: number): Promise<LockedCall | null> {
  const [row] = await tx.query<LockedCall>(
    `SELECT grant_id, writer FROM call
     WHERE call_id = $1 AND sends = $2 AND state IN ('sent', 'job', 'unknown') FOR NO KEY UPDATE`,
    [callId, sends],
  );
  return row ?? null;
}
