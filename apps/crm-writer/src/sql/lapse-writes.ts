import type { CommandKind } from '#contracts';
import type { Tx } from '#postgres';

export interface EndedWrite {
  readonly command_id: string;
  readonly interaction_id: string;
  readonly kind: CommandKind;
  readonly event_at: number;
  readonly traceparent: string | null;
  readonly reason_code: string;
  readonly reason_text: string;
}

/** Most writes that lapse in one transaction. */
export const LAPSE_AT_MOST = 500;

/** Waiting writes whose time has passed: pointless now, so they spend no call. */
export async function lapseWrites(tx: Tx, account: string): Promise<EndedWrite[]> {
  return tx.query<EndedWrite>(
    `UPDATE write SET state = 'lapsed', reason_code = 'not_after_passed',
            reason_text = 'its time had passed while it waited', final_at = clock_timestamp()
     WHERE command_id IN (
       SELECT command_id FROM write
       WHERE account = $1 AND state = 'waiting' AND not_after < extract(epoch FROM clock_timestamp()) * 1000
       ORDER BY interaction_id LIMIT $2
       FOR UPDATE SKIP LOCKED)
     RETURNING command_id, interaction_id, kind, event_at, traceparent, reason_code, reason_text`,
    [account, LAPSE_AT_MOST],
  );
}
