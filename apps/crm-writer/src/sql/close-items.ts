import type { Tx } from '#postgres';
import type { ItemEffectAt } from '../write.store.js';

const STATES: Readonly<Record<ItemEffectAt['effect']['effect'], string>> = {
  done: 'done',
  parked: 'parked',
  unknown: 'unknown',
  waiting: 'returned',
  followUp: 'returned',
};

/** Stores what became of items that are still open; the indexes of those that were. All of them are asked for at one instant, so together. */
export async function closeItems(tx: Tx, callId: string, effects: readonly ItemEffectAt[]): Promise<number[]> {
  const rows = effects.map(({ index, effect }) => ({
    item_index: index,
    state: STATES[effect.effect],
    code: 'code' in effect ? effect.code : null,
    ask_in_ms: effect.effect === 'unknown' ? effect.askInMs : 0,
    own: effect.effect === 'unknown' && effect.own,
  }));
  const closed = await tx.query<{ item_index: number }>(
    `UPDATE item
     SET state = e.state, code = e.code, own = e.own, ask_at = statement_timestamp() + e.ask_in_ms * interval '1 millisecond'
     FROM jsonb_to_recordset($2::jsonb) AS e(item_index integer, state text, code text, ask_in_ms float8, own boolean)
     WHERE item.call_id = $1 AND item.item_index = e.item_index AND item.state IN ('sent', 'unknown')
     RETURNING item.item_index`,
    [callId, JSON.stringify(rows)],
  );
  return closed.map(({ item_index: index }) => index);
}
