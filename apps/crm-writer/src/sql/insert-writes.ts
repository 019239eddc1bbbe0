import type { Command } from '#contracts';
import type { Tx } from '#postgres';
import { rankOfPriority } from '../domain/write.js';

/** Stores commands as waiting writes, those of a dry run as rehearsed ones; what is known already stays as it is. The ids that were new. */
export async function insertWrites(tx: Tx, commands: readonly Command[]): Promise<string[]> {
  const rows = commands.map(({ id, account, type, causationId, traceparent, data }) => ({
    command_id: id,
    account,
    interaction_id: data.interactionId,
    kind: type,
    action: data.action,
    event_at: data.eventAt,
    event_rank: data.eventRank,
    ordinal: data.ordinal,
    priority: rankOfPriority(data.priority),
    not_after: data.notAfter,
    policy_version: data.policyVersion,
    dry_run: data.dryRun === true,
    causation_id: causationId,
    traceparent,
  }));
  const inserted = await tx.query<{ command_id: string }>(
    `INSERT INTO write (command_id, account, interaction_id, kind, action, event_at, event_rank, ordinal, priority,
                        not_after, policy_version, causation_id, traceparent, state, to_plan, final_at)
     SELECT command_id, account, interaction_id, kind, action, event_at, event_rank, ordinal, priority,
            not_after, policy_version, causation_id, traceparent,
            CASE WHEN dry_run THEN 'rehearsed' ELSE 'waiting' END, dry_run, CASE WHEN dry_run THEN clock_timestamp() END
     FROM jsonb_to_recordset($1::jsonb) AS c(
       command_id text, account text, interaction_id text, kind text, action jsonb, event_at bigint, event_rank integer,
       ordinal integer, priority smallint, not_after bigint, policy_version integer, causation_id text, traceparent text, dry_run boolean)
     ON CONFLICT DO NOTHING
     RETURNING command_id`,
    [JSON.stringify(rows)],
  );
  return inserted.map(({ command_id: id }) => id);
}
