import type { Contact } from '#contracts';
import type { Tx } from '#postgres';

export interface ToRehearseRow {
  readonly interaction_id: string;
  readonly ticket_id: number | null;
  readonly ticket_promised: boolean;
  readonly follow_up_of: number | null;
  readonly queue_path: string | null;
  readonly priority: number;
  readonly since: number;
  readonly subject: string | null;
  readonly mode: 'new' | 'append' | null;
  readonly contact: Contact | null;
}

/** Interactions with commands of a dry run to plan calls for, by priority, then age. Those without a ticket or a command that makes it are left. */
export async function selectToRehearse(tx: Tx, account: string, limit: number): Promise<ToRehearseRow[]> {
  return tx.query<ToRehearseRow>(
    `SELECT p.interaction_id, i.ticket_id, p.priority, p.since, i.follow_up_of, i.queue_path,
            (i.ticket_id IS NOT NULL OR NOT e.to_plan) IS TRUE AS ticket_promised,
            e.action->>'subject' AS subject, e.action->>'mode' AS mode, e.action->'contact' AS contact
     FROM (SELECT interaction_id, min(priority) AS priority, min(event_at) AS since
           FROM write WHERE account = $1 AND to_plan GROUP BY interaction_id) p
     JOIN interaction i ON i.account = $1 AND i.interaction_id = p.interaction_id
     LEFT JOIN write e ON e.account = $1 AND e.interaction_id = p.interaction_id AND e.kind = 'ensureTicket'
     WHERE i.ticket_id IS NOT NULL OR e.command_id IS NOT NULL
     ORDER BY p.priority, p.since, p.interaction_id LIMIT $2`,
    [account, limit],
  );
}
