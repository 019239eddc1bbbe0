/* The calls on single tickets and lists of tickets. */
import { type Answer, answer } from './exchange.js';
import { bodyOf, type Call, idAt, linkTo, memberOf } from './call.js';
import { badRequest, recordInvalid, recordNotFound, tooManyValues, updateConflict } from './errors.js';
import { type JsonObject, objectOf } from './json.js';
import { listAnswer } from './pagination.js';
import type { Ticket, User } from './records.js';
import { isoAt } from './shown-clock.js';
import { auditOnTheWire, commentsOnTheWire, ticketOnTheWire } from './ticket-answers.js';
import { createTicket, deleteTicket, type Hand, namedRequesterId, type TicketResult, updateTicket } from './tickets.js';

const SHOW_MANY_LIMIT_TICKETS = 100;

/** The members of `ticket` that are understood; others are ignored and warned of. */
export const TICKET_PARAMETERS: ReadonlySet<string> = new Set(
  (
    'id subject raw_subject comment description requester requester_id submitter_id assignee_id assignee_email group_id ' +
    'organization_id external_id tags additional_tags remove_tags custom_fields fields status priority type due_at ' +
    'problem_id metadata voice_comment tpe_voice_comment safe_update updated_stamp via_followup_source_id brand_id ' +
    'ticket_form_id custom_status_id collaborators collaborator_ids followers email_ccs macro_ids macro_id recipient ' +
    'sharing_agreement_ids attribute_value_ids system_metadata support_type'
  ).split(' '),
);

/** Members that only imports understand. */
export const IMPORT_PARAMETERS: ReadonlySet<string> = new Set([
  'comments',
  'created_at',
  'updated_at',
  'solved_at',
  'via',
]);

/** Who acts through this call. */
export function handOf(call: Call): Hand {
  return {
    world: call.world,
    actor: call.actor as User,
    atMs: call.world.nowMs,
    ip: call.ip,
    client: call.request.headers['user-agent'] ?? '',
  };
}

/** POST /tickets */
export function postTicket(call: Call): Answer {
  const input = memberOf(call, 'ticket');
  if (!input) return badRequest('You passed an invalid value for the ticket attribute. Must be an object');
  warnOfUnknown(call, input, false);
  const { world } = call;
  const requesterId = namedRequesterId(world, input);
  if (
    world.options.open.createConflicts !== 'never' &&
    requesterId !== undefined &&
    (world.creatingUntilMs.get(requesterId) ?? 0) > world.nowMs
  )
    return updateConflict('Another creation for this requester is under way. Please try again.');
  const result = createTicket(handOf(call), input, { imported: false });
  return ticketAnswer(call, result, 201);
}

/** PUT /tickets/{id} */
export function putTicket(call: Call): Answer {
  const ticket = ticketOf(call);
  if (!ticket) return recordNotFound();
  const input = memberOf(call, 'ticket');
  if (!input) return badRequest('You passed an invalid value for the ticket attribute. Must be an object');
  warnOfUnknown(call, input, false);
  return ticketAnswer(call, updateTicket(handOf(call), ticket, input), 200);
}

/** POST /imports/tickets: history; runs no triggers, may carry several comments. */
export function postImport(call: Call): Answer {
  const input = memberOf(call, 'ticket');
  if (!input) return badRequest('You passed an invalid value for the ticket attribute. Must be an object');
  warnOfUnknown(call, input, true);
  return ticketAnswer(call, createTicket(handOf(call), input, { imported: true }), 201);
}

/** GET /tickets/{id} */
export function getTicket(call: Call): Answer {
  const ticket = ticketOf(call);
  return ticket ? answer(200, { ticket: ticketOnTheWire(call.world, ticket, call.origin) }) : recordNotFound();
}

/** DELETE /tickets/{id} */
export function removeTicket(call: Call): Answer {
  const ticket = ticketOf(call);
  if (!ticket) return recordNotFound();
  deleteTicket(call.world, ticket);
  return { status: 204, body: null, text: '' };
}

/** GET /tickets, with `external_id` an exact filter from the database: a list, for it is not unique. */
export function getTickets(call: Call): Answer {
  const { world } = call;
  const externalId = call.query.get('external_id');
  const ids = externalId === null ? world.ticketIds : (world.ticketIdsByExternalId.get(externalId) ?? []);
  return ticketsAnswer(call, ids);
}

/** GET /tickets/count */
export function getTicketCount(call: Call): Answer {
  const { ticketIds, nowMs } = call.world;
  return answer(200, { count: { value: ticketIds.length, refreshed_at: isoAt(call.world, nowMs) } });
}

/** GET /tickets/show_many?ids= */
export function getTicketsShowMany(call: Call): Answer {
  const ids = (call.query.get('ids') ?? '').split(',').filter(Boolean).map(Number);
  if (ids.length === 0) return badRequest('ids is required');
  if (ids.length > SHOW_MANY_LIMIT_TICKETS) return tooManyValues(SHOW_MANY_LIMIT_TICKETS);
  return ticketsAnswer(
    call,
    ids.filter((id) => call.world.tickets.has(id)),
  );
}

/** GET /tickets/{id}/audits */
export function getAudits(call: Call): Answer {
  const ticket = ticketOf(call);
  if (!ticket) return recordNotFound();
  const audits = new Map(ticket.audits.map((audit) => [audit.id, audit]));
  return listAnswer(call, {
    name: 'audits',
    ids: [...audits.keys()],
    onTheWire: (id) => {
      const audit = audits.get(id);
      return audit ? auditOnTheWire(call.world, audit) : null;
    },
  });
}

/** GET /tickets/{id}/comments */
export function getComments(call: Call): Answer {
  const ticket = ticketOf(call);
  if (!ticket) return recordNotFound();
  const comments = new Map(commentsOnTheWire(call.world, ticket).map((comment) => [Number(comment['id']), comment]));
  return listAnswer(call, {
    name: 'comments',
    ids: [...comments.keys()],
    onTheWire: (id) => comments.get(id) ?? null,
  });
}

/** A list of tickets, page by page. */
export function ticketsAnswer(call: Call, ids: readonly number[]): Answer {
  return listAnswer(call, {
    name: 'tickets',
    ids,
    onTheWire: (id) => ticketOnTheWire(call.world, call.world.tickets.get(id) as Ticket, call.origin),
  });
}

/** The ticket that the path names. */
export function ticketOf(call: Call): Ticket | undefined {
  return call.world.tickets.get(idAt(call, 1));
}

/** Notes the members of a ticket that are not known, to be warned of. */
export function warnOfUnknown(call: Call, input: JsonObject, imported: boolean): void {
  for (const name of Object.keys(input))
    if (!TICKET_PARAMETERS.has(name) && !(imported && IMPORT_PARAMETERS.has(name))) call.unknownParameters.push(name);
}

/** The tickets of a bulk body, or undefined where there is no list of objects. */
export function ticketListOf(call: Call): JsonObject[] | undefined {
  const list = bodyOf(call)?.['tickets'];
  if (!Array.isArray(list)) return undefined;
  const objects = list.map((item) => objectOf(item));
  return objects.every((item) => item !== undefined) ? objects : undefined;
}

function ticketAnswer(call: Call, result: TicketResult, status: 200 | 201): Answer {
  if (result.ok) {
    const body = {
      ticket: ticketOnTheWire(call.world, result.ticket, call.origin),
      audit: auditOnTheWire(call.world, result.audit),
    };
    return answer(
      status,
      body,
      status === 201 ? { location: linkTo(call, `tickets/${result.ticket.id}.json`) } : undefined,
    );
  }
  if (result.reason === 'conflict')
    return updateConflict(
      'Safe Update prevented the update due to outdated ticket data. Please fetch the latest ticket data and try again.',
    );
  return recordInvalid(result.errors);
}
