/*
 * What may be done to a ticket, whoever asks: a single call, an item of a bulk job or an import. A change is judged in
 * full before any of it is made.
 */
import { instantOf } from './calendar.js';
import { writeEffect, writeTrigger } from './books.js';
import type { FieldError } from './errors.js';
import { type Json, type JsonObject, listOf, objectOf, quoted, textOf, valueAt, wholeNumberOf } from './json.js';
import type { TriggerRule } from './options.js';
import type { Audit, FieldValue, Ticket, TicketStatus, User } from './records.js';
import { createUser, userErrors, userInputOf } from './users.js';
import { isoAt, simulatedMs } from './shown-clock.js';
import type { World } from './world.js';

const STATUSES: readonly string[] = ['new', 'open', 'pending', 'hold', 'solved', 'closed'];
const PRIORITIES: readonly string[] = ['low', 'normal', 'high', 'urgent'];
const TYPES: readonly string[] = ['problem', 'incident', 'question', 'task'];
const BRAND_ID = 360_000_000_001;

/** Who changes a ticket, from where, when. */
export interface Hand {
  readonly world: World;
  readonly actor: User;
  readonly atMs: number;
  readonly ip: string;
  readonly client: string;
}

/** What became of a creation or a change. */
export type TicketResult =
  | { readonly ok: true; readonly ticket: Ticket; readonly audit: Audit }
  | { readonly ok: false; readonly reason: 'invalid'; readonly errors: readonly FieldError[] }
  | { readonly ok: false; readonly reason: 'conflict' };

/** Makes a ticket, its requester where that is new, its first audit, and fires triggers (imports fire none). */
export function createTicket(hand: Hand, input: JsonObject, how: { imported: boolean }): TicketResult {
  const { world, atMs } = hand;
  const errors = [...fieldErrors(world, input), ...creationErrors(input, how), ...followUpErrors(world, input)];
  const requester = requesterOf(hand, input);
  if (Array.isArray(requester)) errors.push(...requester);
  if (errors.length > 0 || Array.isArray(requester)) return { ok: false, reason: 'invalid', errors };
  const requesterId = requester.make();
  const comment = commentOf(input);
  const createdAtMs = how.imported ? (instantIn(world, input, 'created_at') ?? atMs) : atMs;
  const ticket: Ticket = {
    id: world.nextTicketId++,
    createdAtMs,
    updatedAtMs: how.imported ? (instantIn(world, input, 'updated_at') ?? createdAtMs) : atMs,
    externalId: textOf(input['external_id']),
    subject: textOf(input['subject']) ?? bodyOfComment(comment).slice(0, 80),
    description: textOf(input['description']) ?? bodyOfComment(comment),
    status: (textOf(input['status']) ?? (input['assignee_id'] === undefined ? 'new' : 'open')) as TicketStatus,
    priority: undefined,
    type: undefined,
    requesterId,
    submitterId: wholeNumberOf(input['submitter_id']) ?? hand.actor.id,
    assigneeId: undefined,
    groupId: undefined,
    organizationId: undefined,
    brandId: wholeNumberOf(input['brand_id']) ?? BRAND_ID,
    formId: wholeNumberOf(input['ticket_form_id']),
    dueAt: undefined,
    problemId: undefined,
    tags: [],
    fields: [],
    isPublic: false,
    followsTicketId: wholeNumberOf(input['via_followup_source_id']),
    followUpIds: [],
    audits: [],
    changePosition: -1,
    deleted: false,
  };
  world.tickets.set(ticket.id, ticket);
  world.ticketIds.push(ticket.id);
  addTo(world.ticketIdsByExternalId, ticket.externalId, ticket.id);
  if (ticket.followsTicketId !== undefined) world.tickets.get(ticket.followsTicketId)?.followUpIds.push(ticket.id);
  applyFields(ticket, input);
  const audit = addAudit(hand, ticket, input, { on: 'create', imported: how.imported });
  noteChange(world, ticket, atMs);
  return { ok: true, ticket, audit };
}

/** Changes a ticket: fields, tags, and at most one comment. */
export function updateTicket(hand: Hand, ticket: Ticket, input: JsonObject): TicketResult {
  const { world, atMs } = hand;
  if (ticket.status === 'closed') return { ok: false, reason: 'invalid', errors: [CLOSED] };
  if (input['safe_update'] === true && !stampFits(world, ticket, input)) return { ok: false, reason: 'conflict' };
  const errors = fieldErrors(world, input);
  const comment = objectOf(input['comment']);
  if (comment && bodyOfComment(comment).trim() === '' && uploadsOf(comment).length === 0) errors.push(BLANK_COMMENT);
  const requester =
    input['requester'] === undefined && input['requester_id'] === undefined ? undefined : requesterOf(hand, input);
  if (Array.isArray(requester)) errors.push(...requester);
  if (errors.length > 0) return { ok: false, reason: 'invalid', errors };
  if (requester && !Array.isArray(requester)) ticket.requesterId = requester.make();
  if (input['external_id'] !== undefined) moveExternalId(world, ticket, textOf(input['external_id']));
  if (input['subject'] !== undefined) ticket.subject = textOf(input['subject']) ?? ticket.subject;
  if (input['status'] !== undefined) ticket.status = (textOf(input['status']) ?? ticket.status) as TicketStatus;
  applyFields(ticket, input);
  ticket.updatedAtMs = atMs;
  const audit = addAudit(hand, ticket, input, { on: 'update', imported: false });
  noteChange(world, ticket, atMs);
  return { ok: true, ticket, audit };
}

/** Takes a ticket out of every list. */
export function deleteTicket(world: World, ticket: Ticket, atMs: number): void {
  ticket.deleted = true;
  world.tickets.delete(ticket.id);
  world.ticketIds.splice(world.ticketIds.indexOf(ticket.id), 1);
  removeFrom(world.ticketIdsByExternalId, ticket.externalId, ticket.id);
  ticket.updatedAtMs = atMs;
}

/** What the requester of a creation is known by, where it names one that exists. */
export function namedRequesterId(world: World, input: JsonObject): number | undefined {
  const id = wholeNumberOf(input['requester_id']);
  if (id !== undefined) return id;
  const email = textOf(objectOf(input['requester'])?.['email'])?.toLowerCase();
  return email === undefined ? undefined : world.userIdByEmail.get(email);
}

const CLOSED: FieldError = {
  field: 'base',
  description: 'Status: closed is not valid for ticket update',
  error: 'InvalidValue',
};
const BLANK_COMMENT: FieldError = { field: 'base', description: 'Description: cannot be blank', error: 'BlankValue' };

function fieldErrors(world: World, input: JsonObject): FieldError[] {
  const errors: FieldError[] = [];
  const oneOf = (field: string, values: readonly string[]): void => {
    const value = input[field];
    if (value !== undefined && value !== null && !values.includes(textOf(value) ?? ''))
      errors.push({ field, description: `${field}: ${textOf(value) ?? '?'} is not valid`, error: 'InvalidValue' });
  };
  oneOf('status', STATUSES);
  oneOf('priority', PRIORITIES);
  oneOf('type', TYPES);
  const assigneeId = wholeNumberOf(input['assignee_id']);
  const assignee = assigneeId === undefined ? undefined : world.users.get(assigneeId);
  if (assigneeId !== undefined && (!assignee || assignee.role === 'end-user'))
    errors.push({ field: 'assignee', description: 'Assignee: is invalid', error: 'InvalidValue' });
  for (const member of ['custom_fields', 'fields'] as const)
    for (const item of listOf(input[member]) ?? [])
      if (wholeNumberOf(objectOf(item)?.['id']) === undefined)
        errors.push({ field: member, description: 'Custom field: id is invalid', error: 'InvalidValue' });
  return errors;
}

function creationErrors(input: JsonObject, how: { imported: boolean }): FieldError[] {
  if (objectOf(input['voice_comment'])) return [];
  const comments = how.imported ? importedComments(input) : [commentOf(input)];
  return comments.some((comment) => bodyOfComment(comment).trim() !== '') ? [] : [BLANK_COMMENT];
}

function followUpErrors(world: World, input: JsonObject): FieldError[] {
  if (input['via_followup_source_id'] === undefined) return [];
  const source = world.tickets.get(wholeNumberOf(input['via_followup_source_id']) ?? -1);
  if (source?.status === 'closed') return [];
  return [
    { field: 'via_followup_source_id', description: 'Followup source: must be a closed ticket', error: 'InvalidValue' },
  ];
}

/** The requester: an existing user, or a way to make the new one once everything else was found valid. */
function requesterOf(hand: Hand, input: JsonObject): FieldError[] | { make: () => number } {
  const { world } = hand;
  const id = wholeNumberOf(input['requester_id']);
  if (id !== undefined) {
    if (world.users.has(id)) return { make: () => id };
    return [{ field: 'requester', description: 'Requester: is invalid', error: 'InvalidValue' }];
  }
  const object = objectOf(input['requester']);
  if (!object) return { make: () => hand.actor.id };
  const user = userInputOf(object);
  const known = user.email === undefined ? undefined : world.userIdByEmail.get(user.email);
  if (known !== undefined) return { make: () => known };
  if (user.email === undefined && user.phone !== undefined) {
    if (world.options.open.requesterPhoneAlone === 'reject')
      return [{ field: 'requester', description: 'Requester: Email: cannot be blank', error: 'BlankValue' }];
    if (world.options.open.requesterPhoneAlone === 'ignore') return { make: () => hand.actor.id };
  }
  const errors = userErrors(world, user, undefined);
  if (errors.length > 0)
    return errors.map((error) => ({ ...error, field: 'requester', description: `Requester: ${error.description}` }));
  return { make: () => createUser(world, user, hand.atMs).id };
}

function applyFields(ticket: Ticket, input: JsonObject): void {
  if (input['priority'] !== undefined) ticket.priority = textOf(input['priority']);
  if (input['type'] !== undefined) ticket.type = textOf(input['type']);
  if (input['due_at'] !== undefined) ticket.dueAt = textOf(input['due_at']);
  if (input['assignee_id'] !== undefined) ticket.assigneeId = wholeNumberOf(input['assignee_id']);
  if (input['group_id'] !== undefined) ticket.groupId = wholeNumberOf(input['group_id']);
  if (input['organization_id'] !== undefined) ticket.organizationId = wholeNumberOf(input['organization_id']);
  if (input['problem_id'] !== undefined) ticket.problemId = wholeNumberOf(input['problem_id']);
  const tags = new Set(input['tags'] === undefined ? ticket.tags : tagsOf(input['tags']));
  for (const tag of tagsOf(input['additional_tags'])) tags.add(tag);
  for (const tag of tagsOf(input['remove_tags'])) tags.delete(tag);
  ticket.tags = [...tags];
  const given = [...fieldValuesOf(input['fields']), ...fieldValuesOf(input['custom_fields'])];
  if (given.length === 0) return;
  const fields = new Map(ticket.fields.map((field) => [field.id, field]));
  for (const field of given) {
    if (field.value === null) fields.delete(field.id);
    else fields.set(field.id, field);
  }
  ticket.fields = [...fields.values()];
}

function addAudit(
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

/** The comment of a creation or an update: one, whatever else is sent. `description` stands in for it. */
function commentOf(input: JsonObject): JsonObject | undefined {
  const comment = objectOf(input['comment']);
  if (comment) return comment;
  const text = textOf(input['comment']) ?? textOf(input['description']);
  return text === undefined ? undefined : { body: text };
}

function importedComments(input: JsonObject): (JsonObject | undefined)[] {
  const comments = listOf(input['comments'])?.map((item) => objectOf(item));
  return comments && comments.length > 0 ? comments : [commentOf(input)];
}

function bodyOfComment(comment: JsonObject | undefined): string {
  return textOf(comment?.['body'] ?? comment?.['html_body'] ?? comment?.['value']) ?? '';
}

function uploadsOf(comment: JsonObject): string[] {
  const uploads = comment['uploads'];
  return typeof uploads === 'string' ? [uploads] : (listOf(uploads)?.flatMap((token) => textOf(token) ?? []) ?? []);
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

function noteChange(world: World, ticket: Ticket, atMs: number): void {
  ticket.changePosition = world.changes.length;
  world.changes.push({ ticketId: ticket.id, atMs });
  const { closeSolvedAfterMs } = world.options;
  if (ticket.status !== 'solved' || closeSolvedAfterMs === null) return;
  const position = ticket.changePosition;
  world.schedule.at(atMs + closeSolvedAfterMs, (nowMs) => {
    if (ticket.changePosition !== position || ticket.status !== 'solved') return;
    ticket.status = 'closed';
    ticket.updatedAtMs = nowMs;
    ticket.changePosition = world.changes.length;
    world.changes.push({ ticketId: ticket.id, atMs: nowMs });
  });
}

function stampFits(world: World, ticket: Ticket, input: JsonObject): boolean {
  const stamp = textOf(input['updated_stamp']);
  return stamp !== undefined && stamp.replace(/\.\d+Z$/, 'Z') === isoAt(world, ticket.updatedAtMs);
}

function moveExternalId(world: World, ticket: Ticket, to: string | undefined): void {
  removeFrom(world.ticketIdsByExternalId, ticket.externalId, ticket.id);
  ticket.externalId = to;
  addTo(world.ticketIdsByExternalId, to, ticket.id);
}

function fieldValuesOf(value: Json | undefined): FieldValue[] {
  return (listOf(value) ?? []).flatMap((item) => {
    const id = wholeNumberOf(objectOf(item)?.['id']);
    return id === undefined ? [] : [{ id, value: objectOf(item)?.['value'] ?? null }];
  });
}

/** Tags as Zendesk keeps them: lower case, no spaces; a text lists them with spaces between. */
function tagsOf(value: Json | undefined): string[] {
  const tags =
    typeof value === 'string' ? value.split(/\s+/) : (listOf(value) ?? []).flatMap((tag) => textOf(tag) ?? []);
  return tags.map((tag) => tag.trim().toLowerCase().replaceAll(' ', '_')).filter(Boolean);
}

function instantIn(world: World, input: JsonObject, name: string): number | undefined {
  const shown = instantOf(textOf(input[name]) ?? '');
  return shown === undefined ? undefined : simulatedMs(world, shown);
}

function addTo(index: Map<string, number[]>, key: string | undefined, id: number): void {
  if (key === undefined) return;
  const ids = index.get(key);
  if (ids) ids.push(id);
  else index.set(key, [id]);
}

function removeFrom(index: Map<string, number[]>, key: string | undefined, id: number): void {
  if (key === undefined) return;
  const ids = (index.get(key) ?? []).filter((other) => other !== id);
  if (ids.length > 0) index.set(key, ids);
  else index.delete(key);
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
