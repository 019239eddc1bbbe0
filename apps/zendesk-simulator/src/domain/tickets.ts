/*
 * What may be done to a ticket, whoever asks: a single call, an item of a bulk job or an import. A change is judged in
 * full before any of it is made.
 */
import { instantOf } from './calendar.js';
import type { FieldError } from './errors.js';
import { type JsonObject, objectOf, textOf, wholeNumberOf } from './json.js';
import type { Audit, Ticket, TicketStatus, User } from './records.js';
import { isoAt, simulatedMs } from './shown-clock.js';
import { bodyOfComment, commentOf, uploadsOf } from './ticket-comments.js';
import {
  BLANK_COMMENT,
  CLOSED,
  creationErrors,
  fieldErrors,
  fieldValuesOf,
  followUpErrors,
  requesterOf,
  tagsOf,
} from './ticket-fields.js';
import { addAudit } from './ticket-history.js';
import type { World } from './world.js';

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
export function deleteTicket(world: World, ticket: Ticket): void {
  world.tickets.delete(ticket.id);
  world.ticketIds.splice(world.ticketIds.indexOf(ticket.id), 1);
  removeFrom(world.ticketIdsByExternalId, ticket.externalId, ticket.id);
}

/** What the requester of a creation is known by, where it names one that exists. */
export function namedRequesterId(world: World, input: JsonObject): number | undefined {
  const id = wholeNumberOf(input['requester_id']);
  if (id !== undefined) return id;
  const email = textOf(objectOf(input['requester'])?.['email'])?.toLowerCase();
  return email === undefined ? undefined : world.userIdByEmail.get(email);
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
