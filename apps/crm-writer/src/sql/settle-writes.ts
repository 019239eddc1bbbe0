import type { CommandKind } from '#contracts';
import type { Tx } from '#postgres';
import type { ItemEffectAt } from '../write.store.js';

export interface SettledWrite {
  readonly command_id: string;
  readonly interaction_id: string;
  readonly kind: CommandKind;
  readonly event_at: number;
  readonly traceparent: string | null;
  readonly state: 'done' | 'parked' | 'waiting' | 'unknown';
  readonly ticket_id: number | null;
  readonly grant_id: string | null;
  readonly reason_code: string | null;
  readonly reason_text: string | null;
  readonly redriven: number;
  /** Commands that the call carried in all. */
  readonly merged_with: number;
}

/** Takes a call's writes to where its items' effects lead; in the order in which they took effect. Back to `waiting` gives up the grant: the next call needs its own. */
export async function settleWrites(tx: Tx, callId: string, effects: readonly ItemEffectAt[]): Promise<SettledWrite[]> {
  const rows = effects.map(({ interactionId, effect }) => ({
    interaction_id: interactionId,
    state: effect.effect === 'followUp' ? 'waiting' : effect.effect,
    ticket_id: effect.effect === 'done' ? effect.ticketId : null,
    attempts: effect.effect === 'waiting' ? effect.attempts : null,
    code: 'code' in effect ? effect.code : null,
    reason: effect.effect === 'parked' ? effect.text : null,
  }));
  return tx.query<SettledWrite>(
    `WITH settled AS (UPDATE write
     SET state = e.state,
         grant_id = CASE WHEN e.state = 'waiting' THEN NULL ELSE grant_id END,
         call_id = CASE WHEN e.state = 'waiting' THEN NULL ELSE call_id END,
         ticket_id = coalesce(e.ticket_id, write.ticket_id),
         attempts = coalesce(e.attempts, write.attempts),
         reason_code = e.code,
         reason_text = e.reason,
         final_at = CASE WHEN e.state IN ('done', 'parked') THEN clock_timestamp() END
     FROM jsonb_to_recordset($2::jsonb) AS e(
       interaction_id text, state text, ticket_id bigint, attempts smallint, code text, reason text)
     WHERE write.call_id = $1 AND write.interaction_id = e.interaction_id AND write.state IN ('sent', 'unknown')
     RETURNING command_id, write.interaction_id, kind, event_at, traceparent, write.state, write.ticket_id, grant_id,
               reason_code, reason_text, redriven,
               (SELECT sum(cardinality(command_ids))::int FROM item WHERE item.call_id = $1) AS merged_with,
               event_rank, ordinal)
     SELECT * FROM settled
     ORDER BY interaction_id, (kind = 'ensureTicket') DESC, event_at, event_rank, ordinal, command_id`,
    [callId, JSON.stringify(rows)],
  );
}
