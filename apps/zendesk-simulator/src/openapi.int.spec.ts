/*
 * Development only: successful answers against Zendesk's own OpenAPI description, where that file lies beside the
 * repository. Nothing of it is copied here.
 */
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Ajv, type AnySchema, type ValidateFunction } from 'ajv';
import addFormatsModule from 'ajv-formats';
import { parse } from 'yaml';
import type { Json } from './domain/json.js';
import { Simulator } from './domain/simulator.js';
import { type VirtualAnswer, VirtualClient } from './domain/virtual-client.js';

const DESCRIPTION = resolve(import.meta.dirname, '../../../../shared/data/zendesk-support-oas.yaml');
const isThere = existsSync(DESCRIPTION);
const START_MS = 1_760_000_000_000;
const WAIT_MS = 200_000;
/** The description is large. */
const READING_LIMIT_MS = 120_000;

interface Description {
  readonly paths: Record<
    string,
    Record<string, { responses: Record<string, { content?: Record<string, { schema: AnySchema }> }> }>
  >;
  readonly components: { readonly schemas: Record<string, AnySchema> };
}

let description: Description;
let ajv: Ajv;
const addFormats = addFormatsModule as unknown as (to: Ajv) => void;

function validatorFor(method: string, path: string, status: number): ValidateFunction {
  const schema = description.paths[path]?.[method]?.responses[status]?.content?.['application/json']?.schema;
  if (!schema) throw new Error(`${method} ${path} ${status} is not described`);
  return ajv.compile({ ...(schema as object), components: { schemas: description.components.schemas } });
}

/** OpenAPI says `nullable` also beside `$ref`, `oneOf` and enums, where a validator of JSON Schema needs to be told. */
function withNulls(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withNulls);
  if (typeof schema !== 'object' || schema === null) return schema;
  const members = Object.fromEntries(Object.entries(schema).map(([name, value]) => [name, withNulls(value)]));
  if (members['nullable'] !== true) return members;
  const { nullable: _, ...rest } = members;
  return { anyOf: [rest, { type: 'null' }] };
}

const describeWhereItIs = isThere ? describe : describe.skip;

describeWhereItIs('successful answers conform to Zendesk’s description', () => {
  let client: VirtualClient;
  let jobId: string;
  let userId: number;

  beforeAll(() => {
    const raw = parse(readFileSync(DESCRIPTION, 'utf8'), { maxAliasCount: -1 }) as Description;
    description = {
      paths: raw.paths,
      components: { schemas: withNulls(raw.components.schemas) as Record<string, AnySchema> },
    };
    ajv = new Ajv({ strict: false, allErrors: true, validateSchema: false });
    addFormats(ajv);
    ajv.addFormat('int64', true);
    ajv.addFormat('int32', true);
    client = new VirtualClient(new Simulator({}, START_MS), { startMs: START_MS });
    const user = client.post('users', {
      user: { name: 'Ada', email: 'ada@example.com', phone: '+15550100', external_id: 'u-1' },
    });
    userId = Number((user.body['user'] as { id: number }).id);
    client.post('users', { user: { name: 'Phone only', phone: '+15550101' } });
    client.post('organizations', { organization: { name: 'Acme' } });
    for (let made = 0; made < 3; made += 1) {
      client.post('tickets', {
        ticket: {
          subject: 'A call',
          comment: { body: 'It rang' },
          external_id: `call-${made}`,
          requester_id: userId,
          tags: ['voice'],
          custom_fields: [{ id: 7, value: 'x' }],
          priority: 'low',
        },
      });
      client.nowMs += 5000;
    }
    const job = client.post('tickets/create_many', {
      tickets: [{ comment: { body: 'x' } }, { comment: { body: 'y' } }],
    });
    jobId = (job.body['job_status'] as { id: string }).id;
    client.nowMs += WAIT_MS;
  }, READING_LIMIT_MS);

  afterAll(() => {
    ajv?.removeSchema();
  });

  const ticket: Json = { ticket: { subject: 'A call', comment: { body: 'It rang' } } };
  const calls: readonly [string, string, number, () => VirtualAnswer][] = [
    ['post', '/api/v2/tickets', 201, () => client.post('tickets', ticket)],
    ['get', '/api/v2/tickets', 200, () => client.get('tickets?external_id=call-1')],
    ['get', '/api/v2/tickets/{ticket_id}', 200, () => client.get('tickets/1')],
    ['put', '/api/v2/tickets/{ticket_id}', 200, () => client.put('tickets/1', { ticket: { comment: { body: 'x' } } })],
    ['get', '/api/v2/tickets/count', 200, () => client.get('tickets/count')],
    ['get', '/api/v2/tickets/show_many', 200, () => client.get('tickets/show_many?ids=1,2')],
    ['get', '/api/v2/tickets/{ticket_id}/audits', 200, () => client.get('tickets/1/audits')],
    ['get', '/api/v2/tickets/{ticket_id}/comments', 200, () => client.get('tickets/1/comments')],
    [
      'post',
      '/api/v2/tickets/create_many',
      200,
      () => client.post('tickets/create_many', { tickets: [{ comment: { body: 'x' } }] }),
    ],
    [
      'put',
      '/api/v2/tickets/update_many',
      200,
      () => client.put('tickets/update_many?ids=1', { ticket: { priority: 'high' } }),
    ],
    ['get', '/api/v2/job_statuses', 200, () => client.get('job_statuses')],
    ['get', '/api/v2/job_statuses/{job_status_id}', 200, () => client.get(`job_statuses/${jobId}`)],
    ['get', '/api/v2/job_statuses/show_many', 200, () => client.get(`job_statuses/show_many?ids=${jobId}`)],
    ['post', '/api/v2/users', 201, () => client.post('users', { user: { name: 'Bob' } })],
    [
      'post',
      '/api/v2/users/create_or_update',
      201,
      () => client.post('users/create_or_update', { user: { name: 'Cy', external_id: 'u-9' } }),
    ],
    ['put', '/api/v2/users/{user_id}', 200, () => client.put(`users/${userId}`, { user: { notes: 'x' } })],
    ['get', '/api/v2/users/{user_id}', 200, () => client.get(`users/${userId}`)],
    ['get', '/api/v2/users', 200, () => client.get('users')],
    ['get', '/api/v2/users/me', 200, () => client.get('users/me')],
    ['get', '/api/v2/users/search', 200, () => client.get('users/search?query=phone:%2B15550100')],
    ['get', '/api/v2/users/show_many', 200, () => client.get(`users/show_many?ids=${userId}`)],
    ['get', '/api/v2/organizations', 200, () => client.get('organizations')],
    ['post', '/api/v2/organizations', 201, () => client.post('organizations', { organization: { name: 'Demo' } })],
    ['get', '/api/v2/incremental/tickets/cursor', 200, () => client.get('incremental/tickets/cursor?start_time=0')],
    ['get', '/api/v2/incremental/tickets', 200, () => client.get('incremental/tickets?start_time=0')],
    ['get', '/api/v2/search', 200, () => client.get('search?query=type:ticket+external_id:call-1')],
    ['get', '/api/v2/search/count', 200, () => client.get('search/count?query=type:ticket')],
    ['get', '/api/v2/search/export', 200, () => client.get('search/export?query=call&filter[type]=ticket')],
    ['post', '/api/v2/uploads', 201, () => client.post('uploads?filename=a.txt', 'text')],
    ['post', '/api/v2/imports/tickets', 201, () => client.post('imports/tickets', ticket)],
    [
      'post',
      '/api/v2/channels/voice/agents/{agent_id}/tickets/{ticket_id}/display',
      200,
      () => client.post('channels/voice/agents/5/tickets/1/display', {}),
    ],
  ];

  it.each(calls)('%s %s with %d', (method, path, status, call) => {
    client.nowMs += 10_000;
    const answer = call();
    expect(answer.status).toBe(status);
    const validate = validatorFor(method, path, status);
    validate(JSON.parse(answer.text));
    const faults = (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message ?? ''}`);
    expect(faults).toEqual([]);
  });
});
