/* How tickets, audits and comments look in answers. */
import { isoOf } from './calendar.js';
import { type JsonObject, textOf } from './json.js';
import type { Audit, Ticket } from './records.js';

/** A ticket as answers show it. */
export function ticketOnTheWire(ticket: Ticket, origin: string): JsonObject {
  return {
    url: `${origin}/api/v2/tickets/${ticket.id}.json`,
    id: ticket.id,
    external_id: ticket.externalId ?? null,
    via: viaOf(ticket),
    created_at: isoOf(ticket.createdAtMs),
    updated_at: isoOf(ticket.updatedAtMs),
    generated_timestamp: Math.floor(ticket.updatedAtMs / 1000),
    type: ticket.type ?? null,
    subject: ticket.subject,
    raw_subject: ticket.subject,
    description: ticket.description,
    priority: ticket.priority ?? null,
    status: ticket.status,
    recipient: null,
    requester_id: ticket.requesterId,
    submitter_id: ticket.submitterId,
    assignee_id: ticket.assigneeId ?? null,
    organization_id: ticket.organizationId ?? null,
    group_id: ticket.groupId ?? null,
    collaborator_ids: [],
    follower_ids: [],
    email_cc_ids: [],
    forum_topic_id: null,
    problem_id: ticket.problemId ?? null,
    has_incidents: false,
    is_public: ticket.isPublic,
    due_at: ticket.dueAt ?? null,
    tags: ticket.tags,
    custom_fields: ticket.fields as unknown as readonly JsonObject[],
    satisfaction_rating: { score: 'unoffered' },
    sharing_agreement_ids: [],
    custom_status_id: null,
    fields: ticket.fields as unknown as readonly JsonObject[],
    followup_ids: ticket.followUpIds,
    ticket_form_id: ticket.formId ?? null,
    brand_id: ticket.brandId,
    allow_channelback: false,
    allow_attachments: true,
    from_messaging_channel: false,
  };
}

/** An audit as answers show it; `metadata.custom` holds what the caller's `metadata` carried. */
export function auditOnTheWire(audit: Audit): JsonObject {
  return {
    id: audit.id,
    ticket_id: audit.ticketId,
    created_at: isoOf(audit.createdAtMs),
    author_id: audit.authorId,
    metadata: { system: { client: audit.client, ip_address: audit.ip }, custom: audit.metadata },
    events: audit.events,
    via: { channel: 'api', source: { from: {}, to: {}, rel: null } },
  };
}

/** The comments of a ticket, oldest first. */
export function commentsOnTheWire(ticket: Ticket): JsonObject[] {
  return ticket.audits.flatMap((audit) =>
    audit.events
      .filter((event) => event['type'] === 'Comment')
      .map((event) => ({
        ...event,
        created_at: isoOf(audit.createdAtMs),
        via: { channel: 'api', source: { from: {}, to: {}, rel: null } },
        metadata: { system: { client: audit.client }, custom: audit.metadata },
      })),
  );
}

/** Whether a ticket's searchable text holds all these words, in lower case. */
export function ticketHolds(ticket: Ticket, words: readonly string[]): boolean {
  const text = `${ticket.subject} ${ticket.description}`.toLowerCase();
  return words.every((word) => text.includes(word) || textOf(ticket.externalId) === word);
}

function viaOf(ticket: Ticket): JsonObject {
  if (ticket.followsTicketId === undefined) return { channel: 'api', source: { from: {}, to: {}, rel: null } };
  return { channel: 'api', source: { from: { ticket_id: ticket.followsTicketId }, to: {}, rel: 'follow_up' } };
}
