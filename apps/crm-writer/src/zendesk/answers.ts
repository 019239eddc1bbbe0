import type { FoundUser } from '../domain/contact.js';
import type { ResponseBody } from '../domain/judge-response.js';
import type { AuditPage, ListedTicket } from '../domain/resolve-unknown.js';

/** What Zendesk's answers say, in our words. Everything unexpected reads as absent. */

/** The ticket that a single call made or changed. */
export function ticketIdIn(body: ResponseBody): number | null {
  const ticket = at(valueOf(body), 'ticket');
  const id = at(ticket, 'id');
  return typeof id === 'number' ? id : null;
}

/** The user that a call made, found or changed. */
export function userIdIn(body: ResponseBody): number | null {
  const id = at(at(valueOf(body), 'user'), 'id');
  return typeof id === 'number' ? id : null;
}

/** Users of a search. */
export function usersIn(body: ResponseBody): FoundUser[] {
  return listAt(valueOf(body), 'users').flatMap((user) => {
    const id = at(user, 'id');
    if (typeof id !== 'number') return [];
    const phone = at(user, 'phone');
    const updatedAt = at(user, 'updated_at');
    return [
      {
        id,
        phone: typeof phone === 'string' ? phone : null,
        updatedAt: typeof updatedAt === 'string' ? updatedAt : '',
      },
    ];
  });
}

/** Tickets of a list; null where the answer holds none, which is no empty list. */
export function ticketsIn(body: ResponseBody): ListedTicket[] | null {
  if (!Array.isArray(at(valueOf(body), 'tickets'))) return null;
  return listAt(valueOf(body), 'tickets').flatMap((ticket) => {
    const id = at(ticket, 'id');
    const externalId = at(ticket, 'external_id');
    const updatedAtMs = Date.parse(String(at(ticket, 'updated_at')));
    if (typeof id !== 'number') return [];
    return [
      {
        id,
        externalId: typeof externalId === 'string' ? externalId : null,
        updatedAtMs: Number.isNaN(updatedAtMs) ? null : updatedAtMs,
      },
    ];
  });
}

/** Where an incremental export goes on: after which cursor, or that this was its end; null where the answer isn't one. */
export function exportEndIn(body: ResponseBody): { readonly cursor: string | null } | null {
  const value = valueOf(body);
  if (at(value, 'end_of_stream') === true) return { cursor: null };
  const cursor = at(value, 'after_cursor');
  return typeof cursor === 'string' && cursor !== '' ? { cursor } : null;
}

/**
 * A page of audits with our marks (`audits[].metadata.custom` holds what `metadata` carried); null where the answer holds
 * none. What follows is named by `next_page`, or by `links.next` where `meta.has_more` says that there is more.
 */
export function auditsIn(body: ResponseBody): AuditPage | null {
  const value = valueOf(body);
  if (!Array.isArray(at(value, 'audits'))) return null;
  const marks = listAt(value, 'audits').map((audit) => {
    const commands = at(at(at(at(audit, 'metadata'), 'custom'), 'sluice'), 'commands');
    return Array.isArray(commands) ? commands.filter((id): id is string => typeof id === 'string') : [];
  });
  const next =
    at(value, 'next_page') ?? (at(at(value, 'meta'), 'has_more') === true ? at(at(value, 'links'), 'next') : null);
  return { marks, next: typeof next === 'string' && URL.canParse(next) ? new URL(next).search : null };
}

function valueOf(body: ResponseBody): unknown {
  return body.type === 'json' ? body.value : null;
}

function at(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined;
}

function listAt(value: unknown, key: string): unknown[] {
  const list = at(value, key);
  return Array.isArray(list) ? (list as unknown[]) : [];
}
