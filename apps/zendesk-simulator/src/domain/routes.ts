/* Which request is which call, what it may say in its query, and how long it takes. */
import type { Answer } from './exchange.js';
import type { Call } from './call.js';
import { getIncrementalByTime, getIncrementalCursor } from './exports.js';
import {
  getJob,
  getJobs,
  getJobsShowMany,
  type JobFault,
  postCreateMany,
  postImportMany,
  putUpdateMany,
} from './jobs.js';
import type { OperationKind } from './operations.js';
import { getOrganization, getOrganizations, postOrganization, putOrganization } from './organizations.js';
import { getSearch, getSearchCount, getSearchExport } from './search.js';
import {
  getAudits,
  getComments,
  getTicket,
  getTicketCount,
  getTickets,
  getTicketsShowMany,
  postImport,
  postTicket,
  putTicket,
  removeTicket,
} from './ticket-calls.js';
import { deleteUpload, postUpload } from './uploads.js';
import {
  getMe,
  getUser,
  getUsers,
  getUsersSearch,
  getUsersShowMany,
  postCreateOrUpdate,
  postUser,
  putUser,
  refuseManyUsers,
} from './user-calls.js';
import { postDisplay } from './voice.js';

/** One call of the API. */
export interface Route {
  readonly kind: OperationKind;
  readonly handle: (call: Call, jobFault: JobFault | undefined) => Answer;
  /** The query parameters it knows besides those of pagination. */
  readonly parameters: readonly string[];
  /** About how long Zendesk takes: POST /tickets, PUT and submissions as recorded, the rest estimated. */
  readonly typicalMs: number;
  /** Whether it answers without valid credentials. */
  readonly anonymous?: boolean;
}

const PAGING: ReadonlySet<string> = new Set(
  'page per_page page[size] page[after] page[before] sort sort_by sort_order include'.split(' '),
);

const ROUTES: Readonly<Record<string, Route>> = {
  'POST tickets': { kind: 'tickets.create', handle: postTicket, parameters: ['async'], typicalMs: 850 },
  'POST tickets/create_many': { kind: 'tickets.create_many', handle: postCreateMany, parameters: [], typicalMs: 100 },
  'PUT tickets/update_many': {
    kind: 'tickets.update_many',
    handle: putUpdateMany,
    parameters: ['ids'],
    typicalMs: 100,
  },
  'PUT tickets/#': { kind: 'tickets.update', handle: putTicket, parameters: [], typicalMs: 240 },
  'GET tickets': {
    kind: 'tickets.list',
    handle: getTickets,
    parameters: ['external_id', 'start_time'],
    typicalMs: 120,
  },
  'GET tickets/count': { kind: 'tickets.count', handle: getTicketCount, parameters: [], typicalMs: 60 },
  'GET tickets/show_many': {
    kind: 'tickets.show_many',
    handle: getTicketsShowMany,
    parameters: ['ids'],
    typicalMs: 120,
  },
  'GET tickets/#': { kind: 'tickets.show', handle: getTicket, parameters: [], typicalMs: 100 },
  'DELETE tickets/#': { kind: 'tickets.delete', handle: removeTicket, parameters: [], typicalMs: 240 },
  'GET tickets/#/audits': { kind: 'tickets.audits', handle: getAudits, parameters: ['filter'], typicalMs: 100 },
  'GET tickets/#/comments': { kind: 'tickets.comments', handle: getComments, parameters: [], typicalMs: 100 },
  'POST imports/tickets': {
    kind: 'tickets.import',
    handle: postImport,
    parameters: ['archive_immediately'],
    typicalMs: 600,
  },
  'POST imports/tickets/create_many': {
    kind: 'tickets.import_many',
    handle: postImportMany,
    parameters: ['archive_immediately'],
    typicalMs: 100,
  },
  'GET job_statuses': { kind: 'jobs.list', handle: getJobs, parameters: [], typicalMs: 60 },
  'GET job_statuses/show_many': { kind: 'jobs.show_many', handle: getJobsShowMany, parameters: ['ids'], typicalMs: 60 },
  'GET job_statuses/*': { kind: 'jobs.show', handle: getJob, parameters: [], typicalMs: 60 },
  'POST users': { kind: 'users.create', handle: postUser, parameters: [], typicalMs: 300 },
  'POST users/create_or_update': {
    kind: 'users.create_or_update',
    handle: postCreateOrUpdate,
    parameters: [],
    typicalMs: 300,
  },
  'POST users/create_many': { kind: 'users.create_many', handle: refuseManyUsers, parameters: [], typicalMs: 60 },
  'POST users/create_or_update_many': {
    kind: 'users.create_many',
    handle: refuseManyUsers,
    parameters: [],
    typicalMs: 60,
  },
  'PUT users/#': { kind: 'users.update', handle: putUser, parameters: [], typicalMs: 240 },
  'GET users': { kind: 'users.list', handle: getUsers, parameters: ['external_id', 'role'], typicalMs: 120 },
  'GET users/me': { kind: 'users.me', handle: getMe, parameters: [], typicalMs: 60, anonymous: true },
  'GET users/search': {
    kind: 'users.search',
    handle: getUsersSearch,
    parameters: ['query', 'external_id'],
    typicalMs: 150,
  },
  'GET users/show_many': {
    kind: 'users.show_many',
    handle: getUsersShowMany,
    parameters: ['ids', 'external_ids'],
    typicalMs: 120,
  },
  'GET users/#': { kind: 'users.show', handle: getUser, parameters: [], typicalMs: 80 },
  'POST organizations': { kind: 'organizations.create', handle: postOrganization, parameters: [], typicalMs: 240 },
  'PUT organizations/#': { kind: 'organizations.update', handle: putOrganization, parameters: [], typicalMs: 240 },
  'GET organizations/#': { kind: 'organizations.show', handle: getOrganization, parameters: [], typicalMs: 80 },
  'GET organizations': { kind: 'organizations.list', handle: getOrganizations, parameters: [], typicalMs: 120 },
  'GET incremental/tickets/cursor': {
    kind: 'incremental.tickets',
    handle: getIncrementalCursor,
    parameters: ['start_time', 'cursor', 'exclude_deleted', 'support_type_scope'],
    typicalMs: 500,
  },
  'GET incremental/tickets': {
    kind: 'incremental.tickets',
    handle: getIncrementalByTime,
    parameters: ['start_time', 'exclude_deleted', 'support_type_scope'],
    typicalMs: 500,
  },
  'GET search': { kind: 'search.list', handle: getSearch, parameters: ['query'], typicalMs: 200 },
  'GET search/count': { kind: 'search.count', handle: getSearchCount, parameters: ['query'], typicalMs: 150 },
  'GET search/export': {
    kind: 'search.export',
    handle: getSearchExport,
    parameters: ['query', 'filter[type]'],
    typicalMs: 300,
  },
  'POST uploads': { kind: 'uploads.create', handle: postUpload, parameters: ['filename', 'token'], typicalMs: 400 },
  'DELETE uploads/*': { kind: 'uploads.delete', handle: deleteUpload, parameters: [], typicalMs: 100 },
  'POST channels/voice/agents/#/tickets/#/display': {
    kind: 'voice.display',
    handle: postDisplay,
    parameters: [],
    typicalMs: 150,
  },
};

const routes = new Map(Object.entries(ROUTES));

/** The call that a method and the steps of a path name, or undefined. */
export function routeOf(method: string, segments: readonly string[]): Route | undefined {
  const exact = routes.get(`${method} ${segments.join('/')}`);
  if (exact) return exact;
  const shape = segments.map((segment) => (/^\d+$/.test(segment) ? '#' : segment)).join('/');
  return (
    routes.get(`${method} ${shape}`) ?? (segments.length === 2 ? routes.get(`${method} ${segments[0]}/*`) : undefined)
  );
}

/** The query parameters that a call does not know. */
export function unknownQueryOf(route: Route, query: URLSearchParams): string[] {
  const unknown: string[] = [];
  for (const name of query.keys()) if (!PAGING.has(name) && !route.parameters.includes(name)) unknown.push(name);
  return unknown;
}
