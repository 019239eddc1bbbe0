import { describe, expect, it } from '@jest/globals';
import { listOf, objectOf } from './json.js';
import { Simulator, type SimulatorChoices } from './simulator.js';
import { VirtualClient } from './virtual-client.js';

const START_MS = 1_760_000_000_000;

function clientOf(choices: SimulatorChoices = {}, authorization?: string): VirtualClient {
  const simulator = new Simulator({ edgeLagMs: 0, latencyScale: 0, ...choices }, START_MS);
  return new VirtualClient(simulator, { startMs: START_MS, ...(authorization === undefined ? {} : { authorization }) });
}

describe('a user created', () => {
  it('may have a phone alone', () => {
    const answer = clientOf().post('users', { user: { name: 'Caller', phone: '+1 555 0100' } });
    expect(answer).toMatchObject({
      status: 201,
      body: { user: { name: 'Caller', phone: '+1 555 0100', role: 'end-user' } },
    });
    expect(objectOf(answer.body['user'])).not.toHaveProperty('email');
  });

  it('shows an absent e-mail as null where told so', () => {
    const client = clientOf({ open: { undescribedNulls: 'null' } });
    expect(client.post('users', { user: { name: 'Caller' } }).body).toMatchObject({ user: { email: null } });
  });

  it.each([
    ['no name', { phone: '+15550100' }, 'name', 'BlankValue'],
    ['an e-mail that is none', { name: 'A', email: 'a' }, 'email', 'InvalidValue'],
    ['an e-mail taken', { name: 'A', email: 'ada@example.com' }, 'email', 'DuplicateValue'],
    ['an external_id taken', { name: 'A', external_id: 'u-1' }, 'external_id', 'DuplicateValue'],
    ['a role that is none', { name: 'A', role: 'king' }, 'role', 'InvalidValue'],
  ])('is refused for %s', (_, user, field, error) => {
    const client = clientOf();
    client.post('users', { user: { name: 'Ada', email: 'ada@example.com', external_id: 'u-1' } });
    expect(client.post('users', { user })).toMatchObject({ status: 422, body: { details: { [field]: [{ error }] } } });
  });
});

describe('create_or_update', () => {
  it('finds by external_id, else by e-mail, never by phone', () => {
    const client = clientOf({ endpointLimits: { 'user-updates': null, 'user-updates-second': null } });
    const write = (user: Record<string, string>) => client.post('users/create_or_update', { user });
    expect(write({ name: 'Ada', external_id: 'u-1', phone: '+15550100' }).status).toBe(201);
    expect(write({ name: 'Ada L.', external_id: 'u-1', email: 'ada@example.com' }).status).toBe(200);
    expect(write({ name: 'Ada Lovelace', email: 'ADA@example.com' })).toMatchObject({
      status: 200,
      body: { user: { name: 'Ada Lovelace', external_id: 'u-1', phone: '+15550100' } },
    });
    expect(write({ name: 'Somebody', phone: '+15550100' }).status).toBe(201);
    expect(client.control('GET', '/audit')).toMatchObject({
      ok: false,
      doubled: { contacts: [{ phone: '+15550100' }] },
    });
  });

  it('in bulk is switched off', () => {
    expect(clientOf().post('users/create_or_update_many', { users: [] })).toMatchObject({
      status: 403,
      body: { error: { title: 'Forbidden' } },
    });
  });
});

describe('the search for users', () => {
  it('finds by phone only once the index has caught up', () => {
    const client = clientOf();
    client.post('users', { user: { name: 'Caller', phone: '+1 555 0100', external_id: 'u-1' } });
    const find = (query: string): number => listOf(client.get(`users/search?${query}`).body['users'])?.length ?? -1;
    expect(find('query=phone:%2B15550100')).toBe(0);
    expect(find('external_id=u-1')).toBe(0);
    expect(client.get('users?external_id=u-1').body['count']).toBe(1);
    client.nowMs += 120_000;
    expect(find('query=phone:%2B15550100')).toBe(1);
    expect(find('query=%2B1+(555)+0100')).toBe(1);
    expect(find('external_id=u-1')).toBe(1);
    expect(find('query=caller')).toBe(1);
    expect(find('query=nobody')).toBe(0);
  });

  it('goes on finding by the old phone until the index has caught up', () => {
    const client = clientOf();
    const id = Number(
      objectOf(client.post('users', { user: { name: 'Caller', phone: '111111' } }).body['user'])?.['id'],
    );
    client.nowMs += 120_000;
    client.put(`users/${id}`, { user: { phone: '222222' } });
    expect(client.get('users/search?query=phone:111111').body['count']).toBe(1);
    client.nowMs += 120_000;
    expect(client.get('users/search?query=phone:111111').body['count']).toBe(0);
    expect(client.get('users/search?query=phone:222222').body['count']).toBe(1);
  });
});

describe('credentials', () => {
  const credentials = [
    { kind: 'basic', value: 'agent@acme.example/token:right' },
    { kind: 'bearer', value: 'right', forbids: ['users.create'] },
  ] as const;

  it.each([
    ['a right API token', `Basic ${btoa('agent@acme.example/token:right')}`, 200],
    ['a wrong API token', `Basic ${btoa('agent@acme.example/token:wrong')}`, 401],
    ['a right bearer token', 'Bearer right', 200],
    ['a wrong bearer token', 'Bearer wrong', 401],
    ['no base64 at all', 'Basic %%%', 401],
    ['nothing', '', 401],
  ])('let in with %s: %#', (_, authorization, status) => {
    expect(clientOf({ credentials }, authorization).get('tickets').status).toBe(status);
  });

  it('of any kind will do where none are named, but none won’t', () => {
    expect(clientOf({}, 'Bearer anything').get('tickets').status).toBe(200);
    expect(clientOf({}, '').get('tickets')).toMatchObject({
      status: 401,
      body: { error: "Couldn't authenticate you" },
    });
  });

  it('without the right answer 403', () => {
    expect(clientOf({ credentials }, 'Bearer right').post('users', { user: { name: 'A' } }).status).toBe(403);
  });

  it('are no matter to users/me', () => {
    expect(clientOf({ credentials }, '').get('users/me')).toMatchObject({
      status: 200,
      body: { user: { name: 'Anonymous user' } },
    });
  });

  it('can be changed while it runs', () => {
    const client = clientOf({}, 'Bearer old');
    client.control('PUT', '/credentials', [{ kind: 'bearer', value: 'new' }]);
    expect(client.get('tickets').status).toBe(401);
  });
});
