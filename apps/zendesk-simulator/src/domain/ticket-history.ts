/* What a creation or an update leaves in a ticket's history: its comment, what it changed, the triggers it fired. */
import { writeEffect, writeTrigger } from './books.js';
import { type Json, type JsonObject, listOf, objectOf, quoted, textOf, valueAt, wholeNumberOf } from './json.js';
import type { TriggerRule } from './options.js';
import type { Audit, Ticket } from './records.js';
import { commentOf, importedComments, uploadsOf } from './ticket-comments.js';
import { fieldValuesOf } from './ticket-fields.js';
import type { Hand } from './tickets.js';
import type { World } from './world.js';

/** Adds the audit of a creation or an update that was found valid; fires triggers, except for imports. */
export function addAudit(
  hand: Hand,
  ticket: Ticket,
  input: JsonObject,
  how: { on: 'create' | 'update'; imported: boolean },
): Audit {
  const { world, actor } = hand;
  const comments = how.imported ? importedComments(input) : [commentOf(input)];
  const events: string[] = [];
  const auditId = world.nextAuditId;
  const nextId = (): number => auditId + 1 + events.length;
  for (const comment of comments) {
    if (!comment) continue;
    const isPublic = comment['public'] !== false;
    ticket.isPublic ||= isPublic;
    events.push(commentEvent(hand, comment, { id: nextId(), auditId, isPublic }));
  }
  const voice = objectOf(input['voice_comment']);
  if (voice) events.push(voiceEvent(hand, voice, { id: nextId(), auditId }));
  const type = how.on === 'create' ? 'Create' : 'Change';
  for (const [name, value] of changedFields(ticket, input, how.on))
    events.push(`{"id":${nextId()},"type":"${type}","field_name":"${name}","value":${JSON.stringify(value)}}`);
  if (!how.imported)
    for (const trigger of firedTriggers(world, ticket, { on: how.on, comment: comments[0] }))
      events.push(notificationEvent(trigger, ticket, nextId()));
  world.nextAuditId = nextId();
  const audit: Audit = {
    id: auditId,
    ticketId: ticket.id,
    createdAtMs: how.imported ? ticket.createdAtMs : hand.atMs,
    authorId: actor.id,
    eventsText: ['[', events.join(), ']'].join(''),
    metadataText: objectOf(input['metadata']) ? JSON.stringify(input['metadata']) : '{}',
    ip: hand.ip,
    client: hand.client,
  };
  ticket.audits.push(audit);
  noteMarks(hand, audit, input['metadata']);
  return audit;
}

function commentEvent(hand: Hand, comment: JsonObject, of: { id: number; auditId: number; isPublic: boolean }): string {
  const html = textOf(comment['html_body']);
  const text = textOf(comment['body'] ?? comment['value']) ?? html?.replace(/<[^>]*>/g, '') ?? '';
  const body = quoted(text);
  const attachments = uploadsOf(comment)
    .map((token) => attachmentOf(hand, token))
    .filter((attachment) => attachment !== undefined);
  return (
    `{"id":${of.id},"type":"Comment","author_id":${wholeNumberOf(comment['author_id']) ?? hand.actor.id},"body":${body}` +
    `,"html_body":${quoted(html ?? `<div class="zd-comment" dir="auto">${escaped(text)}</div>`)},"plain_body":${body}` +
    `,"public":${of.isPublic},"attachments":${attachments.length === 0 ? '[]' : JSON.stringify(attachments)}` +
    `,"audit_id":${of.auditId}}`
  );
}

/** A call laid down in a ticket: Zendesk keeps the link to the recording, not the sound. */
function voiceEvent(hand: Hand, voice: JsonObject, of: { id: number; auditId: number }): string {
  return JSON.stringify({
    id: of.id,
    type: 'VoiceComment',
    author_id: hand.actor.id,
    body: `Call from ${textOf(voice['from']) ?? ''} to ${textOf(voice['to']) ?? ''}`,
    public: true,
    data: voice,
    audit_id: of.auditId,
  });
}

function attachmentOf(hand: Hand, token: string): JsonObject | undefined {
  const upload = hand.world.uploads.get(token);
  if (!upload || upload.expiresAtMs <= hand.atMs) return undefined;
  hand.world.uploads.delete(token);
  return {
    id: upload.attachmentId,
    file_name: upload.fileName,
    content_type: upload.contentType,
    size: upload.sizeBytes,
    inline: false,
    deleted: false,
  };
}

function* changedFields(ticket: Ticket, input: JsonObject, on: 'create' | 'update'): Generator<[string, Json]> {
  if (on === 'create' || input['subject'] !== undefined) yield ['subject', ticket.subject];
  if (on === 'create' || input['status'] !== undefined) yield ['status', ticket.status];
  if (on === 'create') yield ['requester_id', ticket.requesterId];
  if (input['priority'] !== undefined) yield ['priority', ticket.priority ?? null];
  if (input['type'] !== undefined) yield ['type', ticket.type ?? null];
  if (input['assignee_id'] !== undefined) yield ['assignee_id', ticket.assigneeId ?? null];
  if (input['external_id'] !== undefined && on === 'update') yield ['external_id', ticket.externalId ?? null];
  if (['tags', 'additional_tags', 'remove_tags'].some((name) => input[name] !== undefined)) yield ['tags', ticket.tags];
  for (const { id, value } of fieldValuesOf(input['custom_fields'])) yield [String(id), value];
}

function firedTriggers(
  world: World,
  ticket: Ticket,
  at: { on: 'create' | 'update'; comment: JsonObject | undefined },
): TriggerRule[] {
  const fired = world.options.triggers.filter(
    (trigger) =>
      trigger.on === at.on &&
      !(trigger.publicCommentOnly && (!at.comment || at.comment['public'] === false)) &&
      !trigger.unlessTags.some((tag) => ticket.tags.includes(tag)),
  );
  for (const { title } of fired) writeTrigger(world.books, title);
  return fired;
}

function notificationEvent(trigger: TriggerRule, ticket: Ticket, id: number): string {
  const { title } = trigger;
  return JSON.stringify({
    id,
    type: 'Notification',
    via: { channel: 'rule', source: { from: { id: trigger.id, title }, rel: 'trigger' } },
    subject: title,
    recipients: [ticket.requesterId],
  });
}

function noteMarks(hand: Hand, audit: Audit, metadata: Json | undefined): void {
  if (metadata === undefined) return;
  const { options, books } = hand.world;
  const marks = listOf(valueAt(metadata, options.marksPath))?.flatMap((mark) => textOf(mark) ?? []);
  if (!marks || marks.length === 0) return;
  const interaction = textOf(valueAt(metadata, options.interactionPath));
  writeEffect(books, { marks, interaction, ticketId: audit.ticketId, auditId: audit.id, atMs: hand.atMs });
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
