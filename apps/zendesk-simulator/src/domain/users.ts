import type { FieldError } from './errors.js';
import { type Json, type JsonObject, listOf, objectOf, textOf, wholeNumberOf } from './json.js';
import type { User } from './records.js';
import { isoAt } from './shown-clock.js';
import { indexUser } from './user-index.js';
import type { World } from './world.js';

const ROLES: readonly string[] = ['end-user', 'agent', 'admin'];

/** What a write may say of a user. */
export interface UserInput {
  readonly name?: string | undefined;
  readonly email?: string | undefined;
  readonly phone?: string | undefined;
  readonly externalId?: string | undefined;
  readonly role?: string | undefined;
  readonly rest: JsonObject;
}

/** A user as answers show it. */
export function userOnTheWire(world: World, user: User, origin: string): JsonObject {
  return {
    id: user.id,
    url: `${origin}/api/v2/users/${user.id}.json`,
    name: user.name,
    email: user.email ?? (world.options.open.undescribedNulls === 'null' ? null : undefined),
    created_at: isoAt(world, user.createdAtMs),
    updated_at: isoAt(world, user.updatedAtMs),
    time_zone: 'UTC',
    iana_time_zone: 'Etc/UTC',
    phone: user.phone ?? null,
    shared_phone_number: user.phone === undefined ? null : false,
    photo: null,
    locale_id: 1,
    locale: 'en-US',
    organization_id: user.organizationId ?? null,
    role: user.role,
    verified: user.verified,
    external_id: user.externalId ?? null,
    tags: user.tags,
    alias: '',
    active: true,
    shared: false,
    shared_agent: false,
    two_factor_auth_enabled: null,
    signature: '',
    details: user.details,
    notes: user.notes,
    role_type: user.role === 'end-user' ? null : 0,
    custom_role_id: null,
    moderator: user.role !== 'end-user',
    ticket_restriction: user.role === 'end-user' ? 'requested' : null,
    only_private_comments: false,
    restricted_agent: user.role === 'end-user',
    suspended: false,
    report_csv: false,
    user_fields: user.fields,
  };
}

/** Reads what a body says of a user. */
export function userInputOf(object: JsonObject): UserInput {
  return {
    name: textOf(object['name']),
    email: textOf(object['email'])?.trim().toLowerCase() || undefined,
    phone: textOf(object['phone'])?.trim() || undefined,
    externalId: textOf(object['external_id']) || undefined,
    role: textOf(object['role']),
    rest: object,
  };
}

/** Why Zendesk would not take this user; `self` is the user being updated. */
export function userErrors(world: World, input: UserInput, self: User | undefined): FieldError[] {
  const errors: FieldError[] = [];
  if (self ? input.name !== undefined && input.name.trim() === '' : !input.name?.trim())
    errors.push({ field: 'name', description: 'Name: is too short (minimum one character)', error: 'BlankValue' });
  if (input.email !== undefined && !/^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(input.email))
    errors.push({
      field: 'email',
      description: `Email:  ${input.email} is not properly formatted`,
      error: 'InvalidValue',
    });
  if (isTaken(world.userIdByEmail, input.email, self))
    errors.push({
      field: 'email',
      description: `Email: ${input.email} is already being used by another user`,
      error: 'DuplicateValue',
    });
  if (isTaken(world.userIdByExternalId, input.externalId, self))
    errors.push({ field: 'external_id', description: 'External has already been taken', error: 'DuplicateValue' });
  if (input.role !== undefined && !ROLES.includes(input.role))
    errors.push({ field: 'role', description: 'Role: is not valid', error: 'InvalidValue' });
  return errors;
}

/** Makes a user that was found valid. */
export function createUser(world: World, input: UserInput, nowMs: number): User {
  const user: User = {
    id: world.nextUserId++,
    createdAtMs: nowMs,
    updatedAtMs: nowMs,
    name: '',
    email: undefined,
    phone: undefined,
    externalId: undefined,
    role: 'end-user',
    organizationId: undefined,
    verified: false,
    tags: [],
    notes: '',
    details: '',
    fields: {},
  };
  world.users.set(user.id, user);
  world.userIds.push(user.id);
  applyToUser(world, user, input, nowMs);
  return user;
}

/** Changes a user as a body found valid says. */
export function applyToUser(world: World, user: User, input: UserInput, nowMs: number): void {
  user.updatedAtMs = nowMs;
  if (input.name !== undefined) user.name = input.name;
  if (input.phone !== undefined) user.phone = input.phone;
  if (input.role !== undefined && ROLES.includes(input.role)) user.role = input.role as User['role'];
  if (input.email !== undefined) moveKey(world.userIdByEmail, user.email, (user.email = input.email), user.id);
  if (input.externalId !== undefined)
    moveKey(world.userIdByExternalId, user.externalId, (user.externalId = input.externalId), user.id);
  const { rest } = input;
  if (rest['verified'] !== undefined) user.verified = rest['verified'] === true;
  user.tags = textsOf(rest['tags']) ?? user.tags;
  user.notes = textOf(rest['notes']) ?? user.notes;
  user.details = textOf(rest['details']) ?? user.details;
  user.organizationId = wholeNumberOf(rest['organization_id']) ?? user.organizationId;
  user.fields = { ...user.fields, ...objectOf(rest['user_fields']) };
  indexUser(world, user, nowMs);
}

function isTaken(owners: Map<string, number>, key: string | undefined, self: User | undefined): boolean {
  const owner = key === undefined ? undefined : owners.get(key);
  return owner !== undefined && owner !== self?.id;
}

function moveKey(owners: Map<string, number>, from: string | undefined, to: string, id: number): void {
  if (from !== undefined) owners.delete(from);
  owners.set(to, id);
}

function textsOf(value: Json | undefined): string[] | undefined {
  return listOf(value)?.flatMap((item) => textOf(item) ?? []);
}
