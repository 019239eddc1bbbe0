import type { Contact } from '#contracts';
import type { ContactStep } from '../domain/contact.js';
import { contactExternalId } from '../domain/contact.js';
import type { PlannedCall, PlannedItem } from '../domain/plan-calls.js';
import type { StoredRequest } from '../write.store.js';

/** Requests to Zendesk's ticketing API, as bytes (docs/zendesk.md, "Calls"). */

const encoder = new TextEncoder();

/** The request of a planned call. The key guards single creations, the only ones for which Zendesk knows it. */
export function writeRequest(call: PlannedCall, callId: string): StoredRequest {
  const [first] = call.items;
  if (!first) throw new Error('a call without items was planned');
  switch (call.kind) {
    case 'tickets.create':
      return { ...json('POST', '/api/v2/tickets', { ticket: newTicket(first) }), idempotencyKey: `sluice-${callId}` };
    case 'tickets.update':
      return json('PUT', `/api/v2/tickets/${first.ticketId}`, { ticket: changedTicket(first) });
    case 'tickets.create_many':
      return json('POST', '/api/v2/tickets/create_many', { tickets: call.items.map(newTicket) });
    case 'tickets.update_many':
      return json('PUT', '/api/v2/tickets/update_many', {
        tickets: call.items.map((item) => ({ id: item.ticketId, ...changedTicket(item) })),
      });
    default:
      return call.kind satisfies never;
  }
}

/** A ticket takes exactly one comment as it is made; where the commands hold none, it says what it is. */
function newTicket(item: PlannedItem): object {
  const body = item.comment?.body.trim() ? item.comment.body : openingOf(item);
  return {
    subject: item.subject,
    comment: { body, public: item.comment?.public ?? false },
    external_id: item.externalId,
    ...requesterOf(item),
    ...(item.followUpOf === null ? {} : { via_followup_source_id: item.followUpOf }),
    ...(item.tags.length === 0 ? {} : { tags: item.tags }),
    ...customFields(item),
    metadata: markOf(item),
  };
}

function openingOf(item: PlannedItem): string {
  if (item.followUpOf !== null) return `Continues ticket #${item.followUpOf}.`;
  return item.subject.trim() === '' ? item.interactionId : item.subject;
}

function changedTicket(item: PlannedItem): object {
  return {
    ...(item.comment === null ? {} : { comment: item.comment }),
    ...(item.tags.length === 0 ? {} : { additional_tags: item.tags }),
    ...customFields(item),
    metadata: markOf(item),
  };
}

function customFields({ customFields: fields }: PlannedItem): object {
  return fields.length === 0 ? {} : { custom_fields: fields.map(({ id, value }) => ({ id, value })) };
}

function requesterOf({ requester }: PlannedItem): object {
  switch (requester.by) {
    case 'userId':
      return { requester_id: requester.userId };
    case 'email':
      return { requester: { name: requester.name ?? requester.email, email: requester.email } };
    case 'none':
      return {};
    default:
      return requester satisfies never;
  }
}

/** Stands in the audit that the call makes: by it a comment is found again whose answer was lost. */
function markOf({ commandIds, interactionId }: PlannedItem): object {
  return { sluice: { commands: commandIds, interaction: interactionId } };
}

/** The request of a step towards a contact. */
export function contactRequest(step: ContactStep, contact: Contact, externalIdPrefix: string): StoredRequest {
  switch (step) {
    case 'search':
      return get(`/api/v2/users/search?query=${encodeURIComponent(`phone:${contact.phone}`)}`);
    case 'create':
      return json('POST', '/api/v2/users', { user: newUser(contact, externalIdPrefix) });
    case 'adopt':
      return json('POST', '/api/v2/users/create_or_update', { user: newUser(contact, externalIdPrefix) });
    default:
      return step satisfies never;
  }
}

function newUser(contact: Contact, externalIdPrefix: string): object {
  return {
    name: contact.name ?? contact.phone ?? contact.email ?? contact.userId,
    ...(contact.phone ? { phone: contact.phone } : {}),
    ...(contact.email ? { email: contact.email } : {}),
    external_id: contactExternalId(externalIdPrefix, contact),
  };
}

/** Tickets of an external id: an exact list from the database, not the lagging search. */
export function listByExternalId(externalId: string): StoredRequest {
  return get(`/api/v2/tickets?external_id=${encodeURIComponent(externalId)}`);
}

/** Up to 100 tickets in one call. */
export function showTickets(ticketIds: readonly number[]): StoredRequest {
  return get(`/api/v2/tickets/show_many?ids=${ticketIds.join(',')}`);
}

/** Tickets changed since then (epoch seconds), or the page after a cursor; of all sorts of support, as any may be ours. */
export function exportTickets(from: { readonly seconds: number } | { readonly cursor: string }): StoredRequest {
  const where = 'seconds' in from ? `start_time=${from.seconds}` : `cursor=${encodeURIComponent(from.cursor)}`;
  return get(`/api/v2/incremental/tickets/cursor?${where}&support_type_scope=all`);
}

/** A page of a ticket's audits; `cursor` as a page before named it. */
export function readAudits(ticketId: number, cursor: string | null): StoredRequest {
  return get(`/api/v2/tickets/${ticketId}/audits${cursor ?? ''}`);
}

/** Up to 100 jobs in one call. */
export function pollJobs(jobIds: readonly string[]): StoredRequest {
  return get(`/api/v2/job_statuses/show_many?ids=${jobIds.map(encodeURIComponent).join(',')}`);
}

/** The account's recent jobs. */
export function listJobs(): StoredRequest {
  return get('/api/v2/job_statuses');
}

function get(path: string): StoredRequest {
  return { method: 'GET', path, body: null, idempotencyKey: null };
}

function json(method: 'POST' | 'PUT', path: string, body: object): StoredRequest {
  return { method, path, body: encoder.encode(JSON.stringify(body)), idempotencyKey: null };
}
