import type { Command } from '#contracts';
import type { Tx } from '#postgres';

/**
 * Commands of a dry run that come again, and are meant now, wait from now on. So does the command that makes an interaction's ticket
 * where something meant waits for it, as long as its text is known. The interactions are locked, the commands stored before. How many.
 */
export async function takeUpRehearsed(tx: Tx, commands: readonly Command[]): Promise<number> {
  const rows = commands.map(({ id, account, data }) => ({
    command_id: id,
    account,
    interaction_id: data.interactionId,
    ...(data.dryRun ? { meant: false } : { meant: true, action: data.action }),
  }));
  const taken = await tx.query(
    `UPDATE write SET state = 'waiting', to_plan = false, final_at = NULL, redriven = redriven + 1,
            action = coalesce(c.action, write.action)
     FROM (
       SELECT DISTINCT ON (w.command_id) w.command_id, CASE WHEN w.command_id = m.command_id THEN m.action END AS action
       FROM jsonb_to_recordset($1::jsonb) AS m(command_id text, account text, interaction_id text, meant boolean, action jsonb)
       JOIN write w ON w.account = m.account AND w.interaction_id = m.interaction_id AND w.state = 'rehearsed'
       WHERE (w.command_id = m.command_id AND m.meant)
          OR (w.kind = 'ensureTicket' AND NOT w.action ? 'forgotten'
              AND (m.meant OR EXISTS (
                SELECT 1 FROM write x
                WHERE x.account = w.account AND x.interaction_id = w.interaction_id AND x.state = 'waiting')))
       ORDER BY w.command_id, (w.command_id = m.command_id AND m.meant) DESC) c
     WHERE write.command_id = c.command_id AND write.state = 'rehearsed'
     RETURNING write.command_id`,
    [JSON.stringify(rows)],
  );
  return taken.length;
}
