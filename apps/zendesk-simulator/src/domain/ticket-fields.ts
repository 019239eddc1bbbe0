/* What a ticket's members may be, and how they are read. */
import { type FieldError } from './errors.js';
import { type Json, type JsonObject, listOf, objectOf, textOf, wholeNumberOf } from './json.js';
import type { FieldValue } from './records.js';
import { bodyOfComment, commentOf, importedComments } from './ticket-comments.js';
import { createUser, userErrors, userInputOf } from './users.js';
import type { Hand } from './tickets.js';
import type { World } from './world.js';

const STATUSES: readonly string[] = ['new', 'open', 'pending', 'hold', 'solved', 'closed'];
const PRIORITIES: readonly string[] = ['low', 'normal', 'high', 'urgent'];
const TYPES: readonly string[] = ['problem', 'incident', 'question', 'task'];

/** A closed ticket takes no more updates. */
export const CLOSED: FieldError = {
  field: 'base',
  description: 'Status: closed is not valid for ticket update',
  error: 'InvalidValue',
};
/** A ticket and a comment need words. */
export const BLANK_COMMENT: FieldError = {
  field: 'base',
  description: 'Description: cannot be blank',
  error: 'BlankValue',
};

/** Which members of a ticket are not valid. */
export function fieldErrors(world: World, input: JsonObject): FieldError[] {
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

/** What a new ticket lacks. */
export function creationErrors(input: JsonObject, how: { imported: boolean }): FieldError[] {
  if (objectOf(input['voice_comment'])) return [];
  const comments = how.imported ? importedComments(input) : [commentOf(input)];
  return comments.some((comment) => bodyOfComment(comment).trim() !== '') ? [] : [BLANK_COMMENT];
}

/** What stands against a follow-up. */
export function followUpErrors(world: World, input: JsonObject): FieldError[] {
  if (input['via_followup_source_id'] === undefined) return [];
  const source = world.tickets.get(wholeNumberOf(input['via_followup_source_id']) ?? -1);
  if (source?.status === 'closed') return [];
  return [
    { field: 'via_followup_source_id', description: 'Followup source: must be a closed ticket', error: 'InvalidValue' },
  ];
}

/** The requester: an existing user, or a way to make the new one once everything else was found valid. */
export function requesterOf(hand: Hand, input: JsonObject): FieldError[] | { make: () => number } {
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

/** The custom fields that a body sets; null takes a value away. */
export function fieldValuesOf(value: Json | undefined): FieldValue[] {
  return (listOf(value) ?? []).flatMap((item) => {
    const id = wholeNumberOf(objectOf(item)?.['id']);
    return id === undefined ? [] : [{ id, value: objectOf(item)?.['value'] ?? null }];
  });
}

/** Tags as Zendesk keeps them: lower case, no spaces; a text lists them with spaces between. */
export function tagsOf(value: Json | undefined): string[] {
  const tags =
    typeof value === 'string' ? value.split(/\s+/) : (listOf(value) ?? []).flatMap((tag) => textOf(tag) ?? []);
  return tags.map((tag) => tag.trim().toLowerCase().replaceAll(' ', '_')).filter(Boolean);
}
