import type { CallKind } from '#contracts';
import type { Tx } from '#postgres';
import type { StoredRequest } from '../write.store.js';

export interface AgainRow {
  readonly callId: string;
  readonly sends: number;
  readonly kind: CallKind;
  readonly priority: number;
  readonly method: StoredRequest['method'];
  readonly path: string;
  readonly body: Buffer | null;
  readonly idempotencyKey: string | null;
  readonly index: number;
  readonly interactionId: string;
  readonly commands: number;
  readonly attempts: number;
  readonly ticketId: number | null;
  readonly externalId: string;
}

/** Single calls whose very bytes may go again. */
export async function selectCallsAgain(
  tx: Tx,
  account: string,
  limit: number,
  exclude: readonly string[],
): Promise<AgainRow[]> {
  return tx.query<AgainRow>(
    `SELECT call_id AS "callId", sends, kind, priority, method, path, body, idempotency_key AS "idempotencyKey",
            item_index AS index, interaction_id AS "interactionId", cardinality(command_ids) AS commands, attempts,
            ticket_id AS "ticketId", external_id AS "externalId"
     FROM call JOIN item USING (call_id)
     WHERE call.account = $1 AND call.state = 'again' AND call.ask_at <= clock_timestamp()
       AND item.state = 'unknown' AND NOT (call_id = ANY($3::text[]))
     ORDER BY priority, call.ask_at LIMIT $2`,
    [account, limit, exclude],
  );
}
