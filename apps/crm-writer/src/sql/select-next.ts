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
  readonly most_in_job: number | null;
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
    `WITH picked AS MATERIALIZED (
       SELECT account, interaction_id, ticket_id, follow_up_of, priority, since, solo, most_in_job, queue_path, contact_key
       FROM interaction i
       WHERE account = $1 AND runnable AND busy_call_id IS NULL AND (ticket_id IS NULL) = $2
         AND not_before <= clock_timestamp()
         AND NOT (interaction_id = ANY($4::text[]))
         AND ('ticket:' || ticket_id = ANY($4::text[])) IS NOT TRUE
         AND NOT (ticket_id IS NULL AND (contact_key = ANY($4::text[])) IS TRUE)
         AND NOT EXISTS (
           SELECT 1 FROM interaction b
           WHERE b.account = $1 AND b.busy_call_id IS NOT NULL
             AND (b.ticket_id = i.ticket_id OR (i.ticket_id IS NULL AND b.contact_key = i.contact_key)))
         AND NOT (ticket_id IS NULL AND EXISTS (
           SELECT 1 FROM contact c
           WHERE c.account = $1 AND c.key = i.contact_key AND c.user_id IS NULL
             AND (c.busy_call_id IS NOT NULL OR (c.step <> 'refused' AND c.not_before > clock_timestamp()))))
       ORDER BY priority, since, interaction_id
       LIMIT $3)
     SELECT p.interaction_id, p.ticket_id, p.follow_up_of, p.priority, p.since, p.solo, p.most_in_job, p.queue_path,
            e.action->>'subject' AS subject, e.action->>'mode' AS mode, e.action->'contact' AS contact,
            a.ticket_id AS append_to
     FROM picked p
     LEFT JOIN LATERAL (
       SELECT action FROM write
       WHERE account = p.account AND interaction_id = p.interaction_id AND kind = 'ensureTicket' LIMIT 1
     ) e ON true
     LEFT JOIN LATERAL (
       SELECT o.ticket_id FROM interaction o
       WHERE p.ticket_id IS NULL AND e.action->>'mode' = 'append'
         AND o.account = p.account AND o.contact_key = p.contact_key AND o.queue_path IS NOT DISTINCT FROM p.queue_path
         AND o.ticket_id IS NOT NULL AND o.ticket_open
       ORDER BY o.ticket_id DESC LIMIT 1
     ) a ON true
     WHERE NOT EXISTS (
       SELECT 1 FROM interaction b
       WHERE b.account = p.account AND b.busy_call_id IS NOT NULL AND b.ticket_id = a.ticket_id)
     ORDER BY p.priority, p.since, p.interaction_id`,
    [account, sort === 'create', limit, exclude],
  );
}
