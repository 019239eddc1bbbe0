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
  readonly redriven: number;
}

/** Most late writes that one transaction looks for. */
export const LAPSE_AT_MOST = 500;

/** Interactions with waiting writes whose time has passed. */
export async function selectLapsing(tx: Tx, account: string): Promise<string[]> {
  const rows = await tx.query<{ interaction_id: string }>(
    `SELECT DISTINCT interaction_id FROM (
       SELECT interaction_id FROM write
       WHERE account = $1 AND state = 'waiting' AND not_after < extract(epoch FROM clock_timestamp()) * 1000
       ORDER BY not_after LIMIT $2) AS late`,
    [account, LAPSE_AT_MOST],
  );
  return rows.map(({ interaction_id: id }) => id);
}

/** These interactions' waiting writes whose time has passed: pointless now, so they spend no call. The interactions are locked before. */
export async function lapseWrites(tx: Tx, account: string, interactionIds: readonly string[]): Promise<EndedWrite[]> {
  return tx.query<EndedWrite>(
    `UPDATE write SET state = 'lapsed', reason_code = 'not_after_passed',
            reason_text = 'its time had passed while it waited', final_at = clock_timestamp()
     WHERE account = $1 AND interaction_id = ANY($2::text[])
       AND state = 'waiting' AND not_after < extract(epoch FROM clock_timestamp()) * 1000
     RETURNING command_id, interaction_id, kind, event_at, traceparent, reason_code, reason_text, redriven`,
    [account, interactionIds],
  );
}
