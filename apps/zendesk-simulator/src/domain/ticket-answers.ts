/*
 * How tickets, audits and comments look in answers. They are most of what is ever answered, so they are written out as
 * text at once instead of being built as objects first.
 */
import { type JsonObject, JsonText, listOf, objectOf, parseJson, quoted } from './json.js';
import type { Audit, Ticket } from './records.js';
import { isoAt, shownMs } from './shown-clock.js';
import type { World } from './world.js';

/** A ticket as answers show it. */
export function ticketOnTheWire(world: World, ticket: Ticket, origin: string): JsonText {
  const fields = ticket.fields.length === 0 ? '[]' : JSON.stringify(ticket.fields);
  const nulls = world.options.open.undescribedNulls === 'null' ? '"recipient":null,"forum_topic_id":null,' : '';
  const subject = quoted(ticket.subject);
  return new JsonText(
    `{"url":${quoted(`${origin}/api/v2/tickets/${ticket.id}.json`)},"id":${ticket.id}` +
      `,"external_id":${textOrNull(ticket.externalId)},"via":${viaOf(ticket)}` +
      `,"created_at":"${isoAt(world, ticket.createdAtMs)}","updated_at":"${isoAt(world, ticket.updatedAtMs)}"` +
      `,"generated_timestamp":${Math.floor(shownMs(world, ticket.updatedAtMs) / 1000)},"type":${textOrNull(ticket.type)}` +
      `,"subject":${subject},"raw_subject":${subject},"description":${quoted(ticket.description)}` +
      `,"priority":${textOrNull(ticket.priority)},"status":"${ticket.status}"` +
      `,"requester_id":${ticket.requesterId},"submitter_id":${ticket.submitterId}` +
      `,"assignee_id":${ticket.assigneeId ?? null},"organization_id":${ticket.organizationId ?? null}` +
      `,"group_id":${ticket.groupId ?? null},"collaborator_ids":[],"follower_ids":[],"email_cc_ids":[]` +
      `,"problem_id":${ticket.problemId ?? null},"has_incidents":false,"is_public":${ticket.isPublic}` +
      `,"due_at":${textOrNull(ticket.dueAt)},"tags":${ticket.tags.length === 0 ? '[]' : JSON.stringify(ticket.tags)}` +
      `,"custom_fields":${fields},"fields":${fields},"followup_ids":[${ticket.followUpIds.join()}]` +
      `,"ticket_form_id":${ticket.formId ?? null},"brand_id":${ticket.brandId},${nulls}${SAME_FOR_ALL}}`,
  );
}

/** A ticket as an object, where something is to be added to it. */
export function ticketObject(world: World, ticket: Ticket, origin: string): JsonObject {
  return objectOf(parseJson(ticketOnTheWire(world, ticket, origin).text)) ?? {};
}

/** An audit as answers show it; `metadata.custom` holds what the caller's `metadata` carried. */
export function auditOnTheWire(world: World, audit: Audit): JsonText {
  return new JsonText(
    `{"id":${audit.id},"ticket_id":${audit.ticketId},"created_at":"${isoAt(world, audit.createdAtMs)}"` +
      `,"author_id":${audit.authorId},"metadata":{"system":{"client":${quoted(audit.client)}` +
      `,"ip_address":${quoted(audit.ip)}},"custom":${audit.metadataText}},"events":${audit.eventsText},"via":${VIA_API}}`,
  );
}

/** The comments of a ticket, oldest first. */
export function commentsOnTheWire(world: World, ticket: Ticket): JsonObject[] {
  return ticket.audits.flatMap((audit) =>
    (listOf(parseJson(audit.eventsText)) ?? [])
      .map((event) => objectOf(event) ?? {})
      .filter((event) => event['type'] === 'Comment' || event['type'] === 'VoiceComment')
      .map((event) => ({
        ...event,
        created_at: isoAt(world, audit.createdAtMs),
        via: new JsonText(VIA_API),
        metadata: { system: { client: audit.client }, custom: new JsonText(audit.metadataText) },
      })),
  );
}

/** Whether a ticket's searchable text holds all these words, in lower case. */
export function ticketHolds(ticket: Ticket, words: readonly string[]): boolean {
  const text = `${ticket.subject} ${ticket.description}`.toLowerCase();
  return words.every((word) => text.includes(word) || ticket.externalId === word);
}

const VIA_API = '{"channel":"api","source":{"from":{},"to":{},"rel":null}}';
const SAME_FOR_ALL =
  '"satisfaction_rating":{"score":"unoffered"},"sharing_agreement_ids":[],"custom_status_id":null' +
  ',"allow_channelback":false,"allow_attachments":true,"from_messaging_channel":false';

function viaOf({ followsTicketId }: Ticket): string {
  if (followsTicketId === undefined) return VIA_API;
  return `{"channel":"api","source":{"from":{"ticket_id":${followsTicketId}},"to":{},"rel":"follow_up"}}`;
}

function textOrNull(text: string | undefined): string {
  return text === undefined ? 'null' : quoted(text);
}
