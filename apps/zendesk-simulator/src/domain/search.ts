/*
 * Search over tickets and users. Only what integrations use: `type:`, `external_id:`, `tags:`, `status:`, `phone:`,
 * `email:` and words. The index trails the records.
 */
import { type Answer, answer } from './exchange.js';
import { type Call, linkTo } from './call.js';
import { badRequest } from './errors.js';
import { type Json, objectOf } from './json.js';
import { listAnswer } from './pagination.js';
import type { Ticket, User } from './records.js';
import { ticketHolds, ticketObject } from './ticket-answers.js';
import { searchUsers } from './user-index.js';
import { userOnTheWire } from './users.js';
import type { World } from './world.js';

/** GET /search?query= */
export function getSearch(call: Call): Answer {
  const query = call.query.get('query');
  if (query === null) return badRequest('query is required');
  const found = foundBy(call.world, query);
  const page = listAnswer(call, {
    name: 'results',
    ids: found.ids,
    onTheWire: (id) => resultOnTheWire(call, found.type, id),
  });
  return withFacets(page);
}

/** GET /search/count?query= */
export function getSearchCount(call: Call): Answer {
  return answer(200, { count: foundBy(call.world, call.query.get('query') ?? '').ids.length });
}

/** GET /search/export?query=&filter[type]=: by cursor only. */
export function getSearchExport(call: Call): Answer {
  const query = call.query.get('query');
  const type = call.query.get('filter[type]');
  if (query === null || type === null) return badRequest('query and filter[type] are required');
  const found = foundBy(call.world, `${query} type:${type}`);
  if (!call.query.has('page[size]')) call.query.set('page[size]', '100');
  const page = listAnswer(call, {
    name: 'results',
    ids: found.ids,
    onTheWire: (id) => resultOnTheWire(call, found.type, id),
  });
  return withFacets(page);
}

function withFacets(page: Answer): Answer {
  const body = objectOf(page.body);
  return page.status === 200 && body ? { ...page, body: { ...body, facets: null } } : page;
}

function foundBy(world: World, query: string): { type: 'ticket' | 'user'; ids: number[] } {
  const type = /(?:^|\s)type:user\b/.test(query) ? 'user' : 'ticket';
  if (type === 'user')
    return {
      type,
      ids: searchUsers(world, query.replace(/(^|\s)type:\S+/g, ' ')).toSorted((left, right) => left - right),
    };
  return { type, ids: searchTickets(world, query) };
}

function searchTickets(world: World, query: string): number[] {
  const fields = [...query.matchAll(/(external_id|tags|status):"?([^\s"]+)"?/g)].map(
    ([, field, value]) => [field ?? '', (value ?? '').toLowerCase()] as const,
  );
  const words = query
    .replace(/\w+:(?:"[^"]*"|\S+)/g, ' ')
    .toLowerCase()
    .split(/\s+/)
    .filter(Boolean);
  const candidates = candidateIds(world, fields);
  const newestMs = world.nowMs - world.options.searchLagMs;
  return candidates.filter((id) => {
    const ticket = world.tickets.get(id);
    if (!ticket || ticket.createdAtMs > newestMs) return false;
    return fields.every(([field, value]) => fits(ticket, field, value)) && ticketHolds(ticket, words);
  });
}

function candidateIds(world: World, fields: readonly (readonly [string, string])[]): readonly number[] {
  const externalId = fields.find(([field]) => field === 'external_id')?.[1];
  return externalId === undefined ? world.ticketIds : (world.ticketIdsByExternalId.get(externalId) ?? []);
}

function fits(ticket: Ticket, field: string, value: string): boolean {
  if (field === 'tags') return ticket.tags.includes(value);
  if (field === 'status') return ticket.status === value;
  return true;
}

function resultOnTheWire(call: Call, type: 'ticket' | 'user', id: number): Json {
  if (type === 'user')
    return { ...userOnTheWire(call.world, call.world.users.get(id) as User, call.origin), result_type: type };
  return {
    ...ticketObject(call.world, call.world.tickets.get(id) as Ticket, call.origin),
    result_type: type,
    url: linkTo(call, `tickets/${id}.json`),
  };
}
