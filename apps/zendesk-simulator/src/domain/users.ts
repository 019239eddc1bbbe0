import { type Answer, answer } from './exchange.js';
import { bodyOf, type Call, idAt, linkTo, memberOf } from './call.js';
import { badRequest, type FieldError, forbidden, recordInvalid, recordNotFound, tooManyValues } from './errors.js';
import { type Json, type JsonObject, listOf, objectOf, textOf, wholeNumberOf } from './json.js';
import { listAnswer } from './pagination.js';
import type { User } from './records.js';
import { isoAt } from './shown-clock.js';
import type { World } from './world.js';

const ROLES: readonly string[] = ['end-user', 'agent', 'admin'];
const SHOW_MANY_LIMIT_USERS = 100;

/** The members of `user` that are understood; others are warned of. */
export const USER_PARAMETERS: ReadonlySet<string> = new Set(
  (
    'id name email phone external_id role organization_id organization verified tags notes details user_fields alias ' +
    'identities locale locale_id time_zone skip_verify_email shared_phone_number suspended remote_photo_url ' +
    'custom_role_id default_group_id ticket_restriction only_private_comments moderator signature password'
  ).split(' '),
);

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

/** POST /users */
export function postUser(call: Call): Answer {
  const object = memberOf(call, 'user');
  if (!object) return badRequest('You passed an invalid value for the user attribute. Must be an object');
  const input = userInputOf(object);
  const errors = userErrors(call.world, input, undefined);
  if (errors.length > 0) return recordInvalid(errors);
  return userAnswer(call, createUser(call.world, input, call.world.nowMs), 201);
}

/** POST /users/create_or_update: by external_id, else by e-mail; never by phone. */
export function postCreateOrUpdate(call: Call): Answer {
  const object = memberOf(call, 'user');
  if (!object) return badRequest('You passed an invalid value for the user attribute. Must be an object');
  const { world } = call;
  const input = userInputOf(object);
  const existingId =
    (input.externalId !== undefined ? world.userIdByExternalId.get(input.externalId) : undefined) ??
    (input.email !== undefined ? world.userIdByEmail.get(input.email) : undefined);
  const existing = existingId === undefined ? undefined : world.users.get(existingId);
  const errors = userErrors(world, input, existing);
  if (errors.length > 0) return recordInvalid(errors);
  if (!existing) return userAnswer(call, createUser(world, input, world.nowMs), 201);
  applyToUser(world, existing, input, world.nowMs);
  return userAnswer(call, existing, 200);
}

/** POST /users/create_many and /users/create_or_update_many: switched off unless Zendesk's support switches them on. */
export function refuseManyUsers(): Answer {
  return forbidden();
}

/** PUT /users/{id} */
export function putUser(call: Call): Answer {
  const user = call.world.users.get(idAt(call, 1));
  if (!user) return recordNotFound();
  const object = memberOf(call, 'user');
  if (!object) return badRequest('You passed an invalid value for the user attribute. Must be an object');
  const input = userInputOf(object);
  const errors = userErrors(call.world, input, user);
  if (errors.length > 0) return recordInvalid(errors);
  applyToUser(call.world, user, input, call.world.nowMs);
  return userAnswer(call, user, 200);
}

/** GET /users/{id} */
export function getUser(call: Call): Answer {
  const user = call.world.users.get(idAt(call, 1));
  return user ? userAnswer(call, user, 200) : recordNotFound();
}

/** GET /users/me: without credentials it shows an anonymous user, which makes it useless as a health check. */
export function getMe(call: Call): Answer {
  if (call.actor) return userAnswer(call, call.actor, 200);
  return answer(200, { user: { id: null, name: 'Anonymous user', email: 'invalid@example.com', role: 'end-user' } });
}

/** GET /users, with `external_id` an exact filter from the database. */
export function getUsers(call: Call): Answer {
  const { world } = call;
  const externalId = call.query.get('external_id');
  const role = call.query.get('role');
  let ids: readonly number[] = world.userIds;
  if (externalId !== null) ids = [world.userIdByExternalId.get(externalId) ?? []].flat();
  if (role !== null) ids = ids.filter((id) => world.users.get(id)?.role === role);
  return usersAnswer(call, ids);
}

/** GET /users/show_many?ids= or ?external_ids= */
export function getUsersShowMany(call: Call): Answer {
  const { world } = call;
  const ids = (call.query.get('ids') ?? '').split(',').filter(Boolean);
  const externalIds = (call.query.get('external_ids') ?? '').split(',').filter(Boolean);
  if (ids.length + externalIds.length > SHOW_MANY_LIMIT_USERS) return tooManyValues(SHOW_MANY_LIMIT_USERS);
  const found = [...ids.map(Number), ...externalIds.flatMap((id) => world.userIdByExternalId.get(id) ?? [])];
  return usersAnswer(
    call,
    found.filter((id) => world.users.has(id)),
  );
}

/** GET /users/search: what the index knows, and it trails. */
export function getUsersSearch(call: Call): Answer {
  const externalId = call.query.get('external_id');
  const query = call.query.get('query');
  if (externalId === null && query === null) return badRequest('query or external_id is required');
  const { userIndex } = call.world;
  const ids =
    externalId !== null ? [...(userIndex.byExternalId.get(externalId) ?? [])] : searchUsers(call.world, query ?? '');
  return usersAnswer(
    call,
    ids.toSorted((left, right) => left - right),
  );
}

/** Ids of the users that the index finds for a query: `phone:`, `email:`, `external_id:`, or words of the name. */
export function searchUsers(world: World, query: string): number[] {
  const { byPhone, byEmail, byExternalId, known } = world.userIndex;
  const field = /^\s*(phone|email|external_id):\s*"?([^"]+?)"?\s*$/.exec(query);
  if (field?.[1] === 'phone') return [...(byPhone.get(digitsOf(field[2] ?? '')) ?? [])];
  if (field?.[1] === 'email') return [...(byEmail.get((field[2] ?? '').toLowerCase()) ?? [])];
  if (field?.[1] === 'external_id') return [...(byExternalId.get(field[2] ?? '') ?? [])];
  const text = query
    .replace(/(^|\s)(type|role):\S+/g, ' ')
    .replaceAll('"', '')
    .trim()
    .toLowerCase();
  if (text === '') return [...known.keys()];
  const exact = [
    ...(byEmail.get(text) ?? []),
    ...(/^\+?[\d\s().-]{4,}$/.test(text) ? (byPhone.get(digitsOf(text)) ?? []) : []),
  ];
  if (exact.length > 0) return exact;
  const words = text.split(/\s+/);
  const ids: number[] = [];
  for (const [id, { name }] of known) if (words.every((word) => name.includes(word))) ids.push(id);
  return ids;
}

function userAnswer(call: Call, user: User, status: 200 | 201): Answer {
  const body = { user: userOnTheWire(call.world, user, call.origin) };
  return answer(status, body, status === 201 ? { location: linkTo(call, `users/${user.id}.json`) } : undefined);
}

function usersAnswer(call: Call, ids: readonly number[]): Answer {
  return listAnswer(call, {
    name: 'users',
    ids,
    onTheWire: (id) => userOnTheWire(call.world, call.world.users.get(id) as User, call.origin),
  });
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

/** A phone number's digits: all that a search by phone looks at. */
export function digitsOf(phone: string): string {
  return phone.replace(/\D/g, '');
}

function indexUser(world: World, user: User, nowMs: number): void {
  const entry = { phone: user.phone, email: user.email, externalId: user.externalId, name: user.name.toLowerCase() };
  const put = (): void => {
    const { known, byPhone, byEmail, byExternalId } = world.userIndex;
    const old = known.get(user.id);
    known.set(user.id, entry);
    reindex(byPhone, user.id, old?.phone && digitsOf(old.phone), entry.phone && digitsOf(entry.phone));
    reindex(byEmail, user.id, old?.email, entry.email);
    reindex(byExternalId, user.id, old?.externalId, entry.externalId);
  };
  if (world.options.searchLagMs === 0) put();
  else world.schedule.at(nowMs + world.options.searchLagMs, put);
}

function reindex(index: Map<string, Set<number>>, id: number, from: string | undefined, to: string | undefined): void {
  if (from) index.get(from)?.delete(id);
  if (!to) return;
  const ids = index.get(to);
  if (ids) ids.add(id);
  else index.set(to, new Set([id]));
}

/** Members of `user` that are not known, to be warned of. */
export function unknownUserParameters(call: Call): void {
  for (const name of Object.keys(objectOf(bodyOf(call)?.['user']) ?? {}))
    if (!USER_PARAMETERS.has(name)) call.unknownParameters.push(name);
}
