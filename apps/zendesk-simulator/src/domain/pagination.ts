import { type Answer, answer } from './exchange.js';
import type { Call } from './call.js';
import { invalidPagination } from './errors.js';
import type { Json, JsonObject } from './json.js';

const PAGE_LIMIT_ITEMS = 100;

/**
 * One page of a list: by cursor where the call says `page[size]`, else by offset (`page`, `per_page`, at most 100),
 * with links to the pages beside it.
 */
export function listAnswer<Id extends number | string>(
  call: Call,
  listing: { name: string; ids: readonly Id[]; onTheWire: (id: Id) => Json },
): Answer {
  const size = call.query.get('page[size]');
  if (size !== null || call.query.has('page[after]') || call.query.has('page[before]'))
    return byCursor(call, listing, size);
  return byOffset(call, listing);
}

/** The page number that an offset list asks for; 1 where it asks for none. */
export function pageNumberOf(query: URLSearchParams): number {
  const page = Number(query.get('page') ?? 1);
  return Number.isInteger(page) && page > 0 ? page : 1;
}

function byOffset<Id extends number | string>(
  call: Call,
  { name, ids, onTheWire }: { name: string; ids: readonly Id[]; onTheWire: (id: Id) => Json },
): Answer {
  const page = pageNumberOf(call.query);
  const asked = Number(call.query.get('per_page') ?? PAGE_LIMIT_ITEMS);
  const perPage = Number.isInteger(asked) && asked > 0 ? Math.min(asked, PAGE_LIMIT_ITEMS) : PAGE_LIMIT_ITEMS;
  const from = (page - 1) * perPage;
  const link = (to: number): string => pageLink(call, { page: String(to), per_page: String(perPage) });
  const body: JsonObject = {
    [name]: ids.slice(from, from + perPage).map((id) => onTheWire(id)),
    next_page: from + perPage < ids.length ? link(page + 1) : null,
    previous_page: page > 1 ? link(page - 1) : null,
    count: ids.length,
  };
  return answer(200, body);
}

function byCursor<Id extends number | string>(
  call: Call,
  { name, ids, onTheWire }: { name: string; ids: readonly Id[]; onTheWire: (id: Id) => Json },
  askedSize: string | null,
): Answer {
  const size = askedSize === null ? PAGE_LIMIT_ITEMS : Number(askedSize);
  if (!Number.isInteger(size) || size < 1) return invalidPagination('page[size] must be a positive number');
  if (size > PAGE_LIMIT_ITEMS) return invalidPagination(`page[size] cannot be greater than ${PAGE_LIMIT_ITEMS}`);
  const after = call.query.get('page[after]');
  const before = call.query.get('page[before]');
  const cursor = positionOf(ids, after ?? before);
  if (cursor === undefined) return invalidPagination('page[after] or page[before] is not a valid cursor');
  const from = after !== null ? cursor + 1 : before !== null ? Math.max(0, cursor - size) : 0;
  const to = before !== null ? cursor : Math.min(ids.length, from + size);
  const shown = ids.slice(from, to);
  const afterCursor = shown.length > 0 ? cursorOf(shown.at(-1)) : null;
  const beforeCursor = shown.length > 0 ? cursorOf(shown[0]) : null;
  const link = (key: string, value: string): string => pageLink(call, { 'page[size]': String(size), [key]: value });
  const hasMore = before !== null ? from > 0 : to < ids.length;
  return answer(200, {
    [name]: shown.map((id) => onTheWire(id)),
    meta: { has_more: hasMore, after_cursor: afterCursor, before_cursor: beforeCursor },
    links: {
      next: to < ids.length && afterCursor !== null ? link('page[after]', afterCursor) : null,
      prev: from > 0 && beforeCursor !== null ? link('page[before]', beforeCursor) : null,
    },
  });
}

function cursorOf(id: number | string | undefined): string {
  return btoa(`o:${id}`).replace(/=+$/, '');
}

/** Position of the item that a cursor names; where it is gone, of the last one before it. -1 = before all. */
function positionOf(ids: readonly (number | string)[], cursor: string | null): number | undefined {
  if (cursor === null) return -1;
  let text: string;
  try {
    text = atob(cursor);
  } catch {
    return undefined;
  }
  if (!text.startsWith('o:')) return undefined;
  const id = text.slice(2);
  if (typeof ids[0] === 'string') return ids.indexOf(id);
  return lastAtOrBefore(ids as readonly number[], Number(id));
}

function lastAtOrBefore(ids: readonly number[], id: number): number {
  let low = 0;
  let high = ids.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ids[middle] ?? 0) <= id) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function pageLink(call: Call, changes: Readonly<Record<string, string>>): string {
  const query = new URLSearchParams(call.query);
  query.delete('page[after]');
  query.delete('page[before]');
  for (const [name, value] of Object.entries(changes)) query.set(name, value);
  return `${call.origin}${call.request.url.split('?')[0] ?? ''}?${query.toString()}`;
}
