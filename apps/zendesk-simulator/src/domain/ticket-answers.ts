/* How tickets, audits and comments look in answers. */
import { type JsonObject, textOf } from './json.js';
import type { Audit, Ticket } from './records.js';
import { isoAt, shownMs } from './shown-clock.js';
import type { World } from './world.js';

/** A ticket as answers show it. */
export function ticketOnTheWire(world: World, ticket: Ticket, origin: string): JsonObject {
  const absent = world.options.open.undescribedNulls === 'null' ? null : undefined;
  return {
    url: `${origin}/api/v2/tickets/${ticket.id}.json`,
    id: ticket.id,
    external_id: ticket.externalId ?? null,
    via: viaOf(ticket),
    created_at: isoAt(world, ticket.createdAtMs),
    updated_at: isoAt(world, ticket.updatedAtMs),
    generated_timestamp: Math.floor(shownMs(world, ticket.updatedAtMs) / 1000),
    type: ticket.type ?? null,
    subject: ticket.subject,
    raw_subject: ticket.subject,
    description: ticket.description,
    priority: ticket.priority ?? null,
    status: ticket.status,
    recipient: absent,
    requester_id: ticket.requesterId,
    submitter_id: ticket.submitterId,
    assignee_id: ticket.assigneeId ?? null,
    organization_id: ticket.organizationId ?? null,
    group_id: ticket.groupId ?? null,
    collaborator_ids: [],
    follower_ids: [],
    email_cc_ids: [],
    forum_topic_id: absent,
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
export function auditOnTheWire(world: World, audit: Audit): JsonObject {
  return {
    id: audit.id,
    ticket_id: audit.ticketId,
    created_at: isoAt(world, audit.createdAtMs),
    author_id: audit.authorId,
    metadata: { system: { client: audit.client, ip_address: audit.ip }, custom: audit.metadata },
    events: audit.events,
    via: { channel: 'api', source: { from: {}, to: {}, rel: null } },
  };
}

/** The comments of a ticket, oldest first. */
export function commentsOnTheWire(world: World, ticket: Ticket): JsonObject[] {
  return ticket.audits.flatMap((audit) =>
    audit.events
      .filter((event) => event['type'] === 'Comment' || event['type'] === 'VoiceComment')
      .map((event) => ({
        ...event,
        created_at: isoAt(world, audit.createdAtMs),
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
