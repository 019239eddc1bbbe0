import type { Contact } from '#contracts';
import type { Tx } from '#postgres';
import type { NextQuery } from '../write.store.js';

export interface NextRow {
  readonly interaction_id: string;
  readonly ticket_id: number | null;
  readonly follow_up_of: number | null;
  readonly priority: number;
  readonly since: number;
  readonly solo: boolean;
  readonly queue_path: string | null;
  readonly subject: string | null;
  readonly mode: 'new' | 'append' | null;
  readonly contact: Contact | null;
  readonly append_to: number | null;
}

/**
 * The interactions that go next, by priority, then age: runnable, with no call in flight for themselves, their ticket or
 * (while they have no ticket) their contact, not told to wait, and none of these named by a key in `exclude`. `append_to` is the newest open ticket of the same contact and queue.
 */
export async function selectNext(tx: Tx, account: string, { sort, limit, exclude }: NextQuery): Promise<NextRow[]> {
  return tx.query<NextRow>(
    `SELECT i.interaction_id, i.ticket_id, i.follow_up_of, i.priority, i.since, i.solo, i.queue_path,
            e.action->>'subject' AS subject, e.action->>'mode' AS mode, e.action->'contact' AS contact,
            a.ticket_id AS append_to
     FROM interaction i
     LEFT JOIN write e ON e.account = i.account AND e.interaction_id = i.interaction_id AND e.kind = 'ensureTicket'
     LEFT JOIN LATERAL (
       SELECT o.ticket_id FROM interaction o
       WHERE i.ticket_id IS NULL AND e.action->>'mode' = 'append'
         AND o.account = i.account AND o.contact_key = i.contact_key AND o.queue_path IS NOT DISTINCT FROM i.queue_path
         AND o.ticket_id IS NOT NULL AND o.ticket_open
       ORDER BY o.ticket_id DESC LIMIT 1
     ) a ON true
     WHERE i.account = $1 AND i.runnable AND i.busy_call_id IS NULL AND (i.ticket_id IS NULL) = $2
       AND i.not_before <= clock_timestamp() AND NOT (i.interaction_id = ANY($4::text[]))
       AND ('ticket:' || i.ticket_id = ANY($4::text[])) IS NOT TRUE
       AND NOT (i.ticket_id IS NULL AND (i.contact_key = ANY($4::text[])) IS TRUE)
       AND NOT (i.ticket_id IS NULL AND EXISTS (
         SELECT 1 FROM contact c
         WHERE c.account = i.account AND c.key = i.contact_key AND c.user_id IS NULL
           AND (c.busy_call_id IS NOT NULL OR c.not_before > clock_timestamp())))
       AND NOT EXISTS (
         SELECT 1 FROM interaction b
         WHERE b.account = i.account AND b.busy_call_id IS NOT NULL
           AND b.ticket_id = coalesce(i.ticket_id, a.ticket_id))
       AND NOT (i.ticket_id IS NULL AND EXISTS (
         SELECT 1 FROM interaction b
         WHERE b.account = i.account AND b.busy_call_id IS NOT NULL AND b.contact_key = i.contact_key))
     ORDER BY i.priority, i.since, i.interaction_id
     LIMIT $3`,
    [account, sort === 'create', limit, exclude],
  );
}
