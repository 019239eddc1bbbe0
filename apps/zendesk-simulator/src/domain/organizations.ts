import { type Answer, answer } from './exchange.js';
import { type Call, idAt, linkTo, memberOf } from './call.js';
import { badRequest, recordInvalid, recordNotFound } from './errors.js';
import { type JsonObject, listOf, textOf } from './json.js';
import { listAnswer } from './pagination.js';
import type { Organization } from './records.js';
import { isoAt } from './shown-clock.js';

/** POST /organizations */
export function postOrganization(call: Call): Answer {
  const input = memberOf(call, 'organization');
  if (!input) return badRequest('You passed an invalid value for the organization attribute. Must be an object');
  const { world } = call;
  const name = textOf(input['name'])?.trim();
  if (!name) return recordInvalid([{ field: 'name', description: 'Name: cannot be blank', error: 'BlankValue' }]);
  if ([...world.organizations.values()].some((other) => other.name.toLowerCase() === name.toLowerCase()))
    return recordInvalid([
      { field: 'name', description: `Name: ${name} has already been taken`, error: 'DuplicateValue' },
    ]);
  const organization: Organization = {
    id: world.nextUserId++,
    createdAtMs: world.nowMs,
    updatedAtMs: world.nowMs,
    name,
    externalId: undefined,
    tags: [],
    notes: '',
    details: '',
  };
  world.organizations.set(organization.id, organization);
  apply(organization, input);
  return shown(call, organization, 201);
}

/** PUT /organizations/{id} */
export function putOrganization(call: Call): Answer {
  const organization = call.world.organizations.get(idAt(call, 1));
  if (!organization) return recordNotFound();
  const input = memberOf(call, 'organization');
  if (!input) return badRequest('You passed an invalid value for the organization attribute. Must be an object');
  organization.updatedAtMs = call.world.nowMs;
  apply(organization, input);
  return shown(call, organization, 200);
}

/** GET /organizations/{id} */
export function getOrganization(call: Call): Answer {
  const organization = call.world.organizations.get(idAt(call, 1));
  return organization ? shown(call, organization, 200) : recordNotFound();
}

/** GET /organizations */
export function getOrganizations(call: Call): Answer {
  const { organizations } = call.world;
  return listAnswer(call, {
    name: 'organizations',
    ids: [...organizations.keys()],
    onTheWire: (id) => onTheWire(call, organizations.get(id) as Organization),
  });
}

function apply(organization: Organization, input: JsonObject): void {
  organization.name = textOf(input['name']) ?? organization.name;
  organization.externalId = textOf(input['external_id']) ?? organization.externalId;
  organization.notes = textOf(input['notes']) ?? organization.notes;
  organization.details = textOf(input['details']) ?? organization.details;
  organization.tags = listOf(input['tags'])?.flatMap((tag) => textOf(tag) ?? []) ?? organization.tags;
}

function shown(call: Call, organization: Organization, status: 200 | 201): Answer {
  const headers = status === 201 ? { location: linkTo(call, `organizations/${organization.id}.json`) } : undefined;
  return answer(status, { organization: onTheWire(call, organization) }, headers);
}

function onTheWire(call: Call, organization: Organization): JsonObject {
  return {
    url: linkTo(call, `organizations/${organization.id}.json`),
    id: organization.id,
    name: organization.name,
    shared_tickets: false,
    shared_comments: false,
    external_id: organization.externalId ?? null,
    created_at: isoAt(call.world, organization.createdAtMs),
    updated_at: isoAt(call.world, organization.updatedAtMs),
    domain_names: [],
    details: organization.details,
    notes: organization.notes,
    group_id: null,
    tags: organization.tags,
    organization_fields: {},
  };
}
