import type { CommandKind } from '#contracts';
import type { Tx } from '#postgres';

/** Bytes of an answer that are shown. */
export const ANSWER_BYTES_SHOWN = 400;

export interface ParkedRow {
  readonly commandId: string;
  readonly interactionId: string;
  readonly kind: CommandKind;
  readonly ticketId: number | null;
  readonly code: string;
  readonly text: string | null;
  readonly parkedForMs: number;
  readonly attempts: number;
  readonly redriven: number;
  readonly status: number | null;
  readonly answer: Buffer | null;
}

/** Parked writes, the longest parked first, each with the beginning of the answer to its last call. */
export async function selectParked(tx: Tx, account: string, limit: number): Promise<ParkedRow[]> {
  return tx.query<ParkedRow>(
    `SELECT command_id AS "commandId", interaction_id AS "interactionId", write.kind,
            coalesce(write.ticket_id, (SELECT i.ticket_id FROM interaction i
              WHERE i.account = write.account AND i.interaction_id = write.interaction_id)) AS "ticketId",
            reason_code AS code, reason_text AS text, attempts, redriven, status,
            substring(response FROM 1 FOR $3) AS answer,
            (extract(epoch FROM clock_timestamp() - final_at) * 1000)::float8 AS "parkedForMs"
     FROM write LEFT JOIN call USING (call_id)
     WHERE write.account = $1 AND write.state = 'parked'
     ORDER BY final_at, command_id LIMIT $2`,
    [account, limit, ANSWER_BYTES_SHOWN],
  );
}
