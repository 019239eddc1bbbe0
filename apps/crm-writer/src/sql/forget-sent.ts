import type { Tx } from '#postgres';

/** Most rows of each sort that are emptied at once. */
export const FORGET_AT_MOST = 500;

/**
 * Takes customers' text out of what was done longer ago than `olderThanMs`: request bytes, answers, contacts' keys, commands. What stays (ids, states,
 * ticket numbers, times) is what keeps a repeated command from being written again. How many rows were emptied.
 */
export async function forgetSent(tx: Tx, olderThanMs: number): Promise<number> {
  const [row] = await tx.query<{ forgotten: number }>(
    `WITH calls AS (
       UPDATE call SET body = NULL, response = NULL, contact_keys = '{}'
       WHERE call_id IN (
         SELECT call_id FROM call
         WHERE closed_at < clock_timestamp() - $1 * interval '1 millisecond' AND (body IS NOT NULL OR response IS NOT NULL)
         ORDER BY closed_at LIMIT $2 FOR UPDATE SKIP LOCKED)
       RETURNING 1),
     writes AS (
       UPDATE write SET action = jsonb_build_object('kind', kind, 'forgotten', true)
       WHERE command_id IN (
         SELECT command_id FROM write
         WHERE state IN ('done', 'superseded', 'lapsed', 'rehearsed') AND final_at < clock_timestamp() - $1 * interval '1 millisecond'
           AND NOT action ? 'forgotten'
         ORDER BY final_at LIMIT $2 FOR UPDATE SKIP LOCKED)
       RETURNING 1)
     SELECT ((SELECT count(*) FROM calls) + (SELECT count(*) FROM writes))::int AS forgotten`,
    [olderThanMs, FORGET_AT_MOST],
  );
  return row?.forgotten ?? 0;
}
