/* The calls on users. */
import { type Answer, answer } from './exchange.js';
import { type Call, idAt, linkTo, memberOf } from './call.js';
import { badRequest, forbidden, recordInvalid, recordNotFound, tooManyValues } from './errors.js';
import type { JsonObject } from './json.js';
import { listAnswer } from './pagination.js';
import type { User } from './records.js';
import { searchUsers } from './user-index.js';
import { applyToUser, createUser, userErrors, userInputOf, userOnTheWire } from './users.js';

const SHOW_MANY_LIMIT_USERS = 100;

/** The members of `user` that are understood; others are warned of. */
const USER_PARAMETERS: ReadonlySet<string> = new Set(
  (
    'id name email phone external_id role organization_id organization verified tags notes details user_fields alias ' +
    'identities locale locale_id time_zone skip_verify_email shared_phone_number suspended remote_photo_url ' +
    'custom_role_id default_group_id ticket_restriction only_private_comments moderator signature password'
  ).split(' '),
);

/** POST /users */
export function postUser(call: Call): Answer {
  const object = givenUser(call);
  if (!object) return badRequest('You passed an invalid value for the user attribute. Must be an object');
  const input = userInputOf(object);
  const errors = userErrors(call.world, input, undefined);
  if (errors.length > 0) return recordInvalid(errors);
  return userAnswer(call, createUser(call.world, input, call.world.nowMs), 201);
}

/** POST /users/create_or_update: by external_id, else by e-mail; never by phone. */
export function postCreateOrUpdate(call: Call): Answer {
  const object = givenUser(call);
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
  const object = givenUser(call);
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

/** The user that a write carries; members that are not known are noted, to be warned of. */
function givenUser(call: Call): JsonObject | undefined {
  const object = memberOf(call, 'user');
  for (const name of Object.keys(object ?? {})) if (!USER_PARAMETERS.has(name)) call.unknownParameters.push(name);
  return object;
}
