import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { jetstreamManager } from '@nats-io/jetstream';
import { parseInteractionEvent } from '#contracts';
import { publishAccount, removeAccount } from '#jetstream';
import { type TestNats, testNats } from '../../../test/support/servers.js';
import { until } from '../../../test/support/until.js';
import { accountOf, runIngest, type RunningIngest } from '../test/running-ingest.js';
import { metadataDuties } from './start-ingest.js';

const PASSWORD = 'open sesame ü';
const folder = mkdtempSync(join(tmpdir(), 'sluice ingest '));
const passwordFile = join(folder, 'password');
const passwordRef = `file:${passwordFile}`;

let nats: TestNats;
let ingest: RunningIngest;

beforeAll(async () => {
  writeFileSync(passwordFile, `${PASSWORD}\n`);
  nats = await testNats({ own: true });
  ingest = await runIngest(
    nats.url,
    { MAX_EVENTS_PER_ENVELOPE: '20', MAX_BODY_BYTES: '20000' },
    { waitUntilReady: false },
  );
});
afterAll(async () => {
  await ingest?.stop();
  await nats?.stop();
  rmSync(folder, { recursive: true, force: true });
});

interface Sent {
  readonly body: unknown;
  readonly to?: string;
  readonly user?: string;
  readonly password?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

async function send({ body, to = 'demo/ccai/calls', user = 'ccai', password = PASSWORD, headers = {} }: Sent) {
  const response = await fetch(`${ingest.url}/v1/${to}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
      ...headers,
    },
    body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body),
  });
  const answer = (await response.json()) as Record<string, unknown> & { error?: { code: string } };
  return { status: response.status, code: answer.error?.code, answer, headers: response.headers };
}

let count = 0;
/** An event that no other test sends. */
function eventOf(more: object = {}) {
  count += 1;
  return {
    event_id: `event-${count}`,
    timestamp: Date.now(),
    item: { call_id: count, participants: [{ type: 'external', state: 'connected', dn: '+12025550147' }] },
    ...more,
  };
}

async function stored() {
  const manager = await jetstreamManager(ingest.nc);
  const { state } = await manager.streams.info('INTERACTIONS');
  return {
    messages: state.messages,
    last: async () => (await manager.streams.getMessage('INTERACTIONS', { seq: state.last_seq }))!,
  };
}

describe('before the accounts are known', () => {
  it('every body is put off', async () => {
    const { status, code, headers } = await send({ body: eventOf() });
    expect([status, code, headers.get('retry-after')]).toEqual([503, 'accounts_not_loaded', '5']);
    const health = await fetch(`${ingest.url}/health/ready`);
    expect(health.status).toBe(503);
  });
});

describe('with its accounts, ingest', () => {
  beforeAll(async () => {
    await publishAccount(ingest.nc, { version: 1, config: accountOf('demo', passwordRef) });
    const { prepare } = await import('./start-ingest.js');
    const { jsonLogger } = await import('#telemetry');
    const stopping = new AbortController().signal;
    await prepare(ingest.app, ingest.settings, { log: jsonLogger('ingest', { level: 'error' }), stopping });
  });

  it('answers 202 once an event is stored, under a subject that tells whose it is', async () => {
    const event = eventOf();
    const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const { status, answer } = await send({ body: event, headers: { traceparent: trace } });
    expect(status).toBe(202);
    expect(answer).toEqual({
      accepted: 1,
      duplicates: 0,
      events: [
        { index: 0, eventId: event.event_id, interactionId: `call-${count}`, event: 'started', outcome: 'accepted' },
      ],
      rejected: [],
      warnings: [],
    });
    const message = await (await stored()).last();
    expect(message.subject).toBe(`interactions.v1.demo.call-${count}.started`);
    expect(message.header.get('Nats-Msg-Id')).toBe(`demo:${event.event_id}`);
    expect(parseInteractionEvent(message.data)).toMatchObject({
      ok: true,
      value: { id: event.event_id, account: 'demo', traceparent: trace, occurredAt: event.timestamp },
    });
  });

  it('says of each event what became of it, and a bad one spoils nothing', async () => {
    const [first, second] = [eventOf(), eventOf()];
    await send({ body: first });
    const before = (await stored()).messages;
    const events = [first, { event_id: 'bad', item: {} }, second, second, 7];
    const { status, answer } = await send({ body: { count: 4, events } });
    expect(status).toBe(202);
    expect(answer).toMatchObject({
      accepted: 1,
      duplicates: 2,
      events: [
        { index: 0, outcome: 'duplicate' },
        { index: 2, outcome: 'accepted' },
        { index: 3, outcome: 'duplicate' },
      ],
      rejected: [
        { index: 1, eventId: 'bad', code: 'session_id_missing' },
        { index: 4, eventId: null, code: 'event_not_object' },
      ],
      warnings: [{ index: null, code: 'count_differs' }],
    });
    expect((await stored()).messages).toBe(before + 1);
  });

  it('takes an empty envelope, and events about agents, without complaint', async () => {
    expect(await send({ body: { count: 0, events: [] } })).toMatchObject({ status: 202, answer: { accepted: 0 } });
    const login = { type: 'AgentState', item: { ParticipantID: '1234', State: 'login' } };
    expect(await send({ body: login })).toMatchObject({ status: 202, answer: { accepted: 0 } });
  });

  it.each<[string, Partial<Sent>, number, string]>([
    ['malformed JSON', { body: '{"count": 1' }, 400, 'malformed_json'],
    ['an empty body', { body: '' }, 400, 'malformed_json'],
    ['bytes that are no UTF-8', { body: new Uint8Array([0x22, 0xff, 0x22]) }, 400, 'malformed_json'],
    ['a body that is a number', { body: '7' }, 400, 'body_not_object'],
    ['events that are no list', { body: { events: {} } }, 400, 'events_not_list'],
    ['a wrong password', { password: 'wrong' }, 401, 'bad_credentials'],
    ['a wrong user', { user: 'cca' }, 401, 'bad_credentials'],
    ['no credentials', { headers: { authorization: '' } }, 401, 'bad_credentials'],
    ['a token', { headers: { authorization: 'Bearer abc' } }, 401, 'bad_credentials'],
    ['an unknown account', { to: 'nobody/ccai/calls' }, 401, 'bad_credentials'],
    ['an account named like a wildcard', { to: '%3E/ccai/calls' }, 401, 'bad_credentials'],
    ['an account named like a method', { to: '__proto__/ccai/calls' }, 401, 'bad_credentials'],
    ['an unknown feed', { to: 'demo/ccai/agents' }, 404, 'not_found'],
    ['an unknown path', { to: 'demo/other/calls' }, 404, 'not_found'],
    ['an oversized body', { body: { note: 'x'.repeat(30_000) } }, 413, 'body_too_large'],
    ['too many events', { body: { events: Array.from({ length: 21 }, () => ({})) } }, 413, 'too_many_events'],
    ['a form', { headers: { 'content-type': 'application/x-www-form-urlencoded' } }, 415, 'wrong_content_type'],
    ['plain text', { headers: { 'content-type': 'text/plain' } }, 415, 'wrong_content_type'],
    [
      'nothing but bad events',
      { body: { event_id: 'x', timestamp: 'never', item: { call_id: 1 } } },
      422,
      'nothing_accepted',
    ],
    ['a wildcard for an id', { body: { event_id: 'x\n', item: { call_id: { $gt: '' } } } }, 422, 'nothing_accepted'],
  ])('refuses %s', async (_, sent, status, code) => {
    const before = (await stored()).messages;
    const got = await send({ body: eventOf(), ...sent });
    expect([got.status, got.code]).toEqual([status, code]);
    expect(got.answer.error).toEqual({ code, message: expect.any(String) });
    if (status === 401) expect(got.headers.get('www-authenticate')).toMatch(/^Basic /);
    expect((await stored()).messages).toBe(before);
  });

  it.each([
    ['an encoded path', '/v%31/demo/ccai/calls'],
    ['an encoded account', '/v1/d%65mo/ccai/calls'],
    ['an encoded source', '/v1/demo/cca%69/calls'],
    ['a whole URL for a path', 'http://elsewhere/v1/demo/ccai/calls'],
    ['a query', '/v1/demo/ccai/calls?a=/v1/x/ccai/'],
    ['a semicolon', '/v1/demo/ccai/calls;a=b'],
    ['a doubled slash', '//v1/demo/ccai/calls'],
  ])('lets nobody in without credentials by %s', async (_, target) => {
    const before = (await stored()).messages;
    const { hostname, port } = new URL(ingest.url);
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const headers = { 'content-type': 'application/json' };
      const sending = httpRequest({ hostname, port, path: target, method: 'POST', headers }, (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      sending.on('error', reject);
      sending.end(JSON.stringify(eventOf()));
    });
    expect([401, 404]).toContain(status);
    expect((await stored()).messages).toBe(before);
  });

  it('follows accounts that come, change and go', async () => {
    await publishAccount(ingest.nc, { version: 1, config: accountOf('later', passwordRef) });
    await until(
      'the new account is known',
      async () => (await send({ body: eventOf(), to: 'later/ccai/chats' })).status === 202,
    );
    const other = join(folder, 'other');
    writeFileSync(other, 'another');
    await publishAccount(ingest.nc, { version: 2, config: accountOf('later', `file:${other}`) });
    const known = { body: eventOf(), to: 'later/ccai/chats', password: 'another' };
    await until('the new password holds', async () => (await send(known)).status === 202);
    expect((await send({ ...known, password: PASSWORD })).status).toBe(401);
    await removeAccount(ingest.nc, 'later');
    await until('the account is gone', async () => (await send(known)).status === 401);
  });

  it('says so where the password cannot be read', async () => {
    await publishAccount(ingest.nc, { version: 1, config: accountOf('broken', `file:${join(folder, 'missing')}`) });
    const told = await until('the account is known', async () => {
      const got = await send({ body: eventOf(), to: 'broken/ccai/calls' });
      return got.status === 401 ? null : got;
    });
    expect([told.status, told.code]).toEqual([503, 'credentials_unreadable']);
  });

  describe('over NATS', () => {
    const ask = async (subject: string, body: unknown) =>
      (
        await ingest.nc.request(subject, typeof body === 'string' ? body : JSON.stringify(body), { timeout: 5_000 })
      ).json();

    it('takes the same bodies', async () => {
      const event = eventOf();
      expect(await ask('ingest.v1.demo.ccai.calls', { count: 1, events: [event] })).toMatchObject({
        answer: 'taken',
        accepted: 1,
      });
      expect(await send({ body: event })).toMatchObject({ answer: { duplicates: 1 } });
      expect(await ask('ingest.v1.demo.ccai.metadata', { id: 9, chat_type: 'web' })).toMatchObject({
        events: [{ interactionId: 'chat-9', event: 'metadata' }],
      });
      expect(await ask('ingest.v1.demo.ccai.chats', { chat_id: 4, state: 'waiting' })).toMatchObject({ accepted: 1 });
    });

    it.each<[string, string, unknown, string]>([
      ['malformed JSON', 'demo', '{', 'malformed_json'],
      ['an unknown account', 'nobody', {}, 'unknown_account'],
      ['events that are no list', 'demo', { events: 1 }, 'events_not_list'],
      ['an oversized body', 'demo', { note: 'x'.repeat(30_000) }, 'body_too_large'],
    ])('rejects %s', async (_, account, body, code) => {
      expect(await ask(`ingest.v1.${account}.ccai.calls`, body)).toMatchObject({ answer: 'rejected', code });
    });
  });

  describe('from a folder', () => {
    let files: string;
    beforeEach(() => {
      files = mkdtempSync(join(folder, 'files '));
    });
    afterEach(() => rmSync(files, { recursive: true, force: true }));

    const duty = () => {
      const settings = { ...ingest.settings, metadataFolders: [{ account: 'demo', path: files }] };
      return metadataDuties(ingest.app, settings)[0]!;
    };
    const record = (id: number, more: object = {}) =>
      writeFileSync(
        join(files, `metadata-${id}.json`),
        JSON.stringify({ id, call_type: 'voice', status: 'finished', ...more }),
      );
    const never = new AbortController().signal;

    it('takes metadata files once they are complete, each once', async () => {
      const looking = duty();
      record(101);
      record(102);
      writeFileSync(join(files, 'notes.txt'), 'not ours');
      const before = (await stored()).messages;
      await looking.look(never);
      expect((await stored()).messages).toBe(before);
      record(102, { rating: 5 });
      await looking.look(never);
      expect((await stored()).messages).toBe(before + 1);
      await looking.look(never);
      await looking.look(never);
      expect((await stored()).messages).toBe(before + 2);
      const again = duty();
      await again.look(never);
      await again.look(never);
      expect((await stored()).messages).toBe(before + 2);
    });

    it('leaves bad files out until they change', async () => {
      const looking = duty();
      writeFileSync(join(files, 'metadata-201.json'), '{"id": 201, ');
      writeFileSync(join(files, 'metadata-202.json'), `{"id": 202, "feedback": "${'x'.repeat(30_000)}"}`);
      record(203);
      const before = (await stored()).messages;
      for (let i = 0; i < 3; i += 1) await looking.look(never);
      expect((await stored()).messages).toBe(before + 1);
      record(201);
      await looking.look(never);
      await looking.look(never);
      expect((await stored()).messages).toBe(before + 2);
    });

    it('goes on by itself while it runs, and stops when told', async () => {
      const stopping = new AbortController();
      const settings = { ...ingest.settings, metadataPoll: 10, metadataFolders: [{ account: 'demo', path: files }] };
      const before = (await stored()).messages;
      const running = metadataDuties(ingest.app, settings)[0]!.run(stopping.signal);
      for (let id = 300; id < 330; id += 1) record(id);
      await until('all files are taken', async () => (await stored()).messages === before + 30);
      stopping.abort();
      await expect(running).resolves.toBeUndefined();
    });
  });

  describe('when NATS is away', () => {
    it('puts bodies off, and takes them whole when sent again, once each', async () => {
      const before = (await stored()).messages;
      const body = { count: 3, events: [eventOf(), eventOf(), eventOf()] };
      await nats.kill9();
      const refused = await send({ body });
      expect([refused.status, refused.code]).toEqual([503, 'stream_unavailable']);
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
      await nats.restart();
      const again = await until('it is taken', async () => {
        const got = await send({ body });
        return got.status === 202 ? got : null;
      });
      expect((again.answer as { accepted: number; duplicates: number }).accepted).toBeLessThanOrEqual(3);
      expect((await send({ body })).answer).toMatchObject({ accepted: 0, duplicates: 3 });
      expect((await stored()).messages).toBe(before + 3);
    });
  });

  describe('when the stream is full', () => {
    it('puts bodies off and stores them whole once there is room', async () => {
      const manager = await jetstreamManager(ingest.nc);
      const { config, state } = await manager.streams.info('INTERACTIONS');
      await manager.streams.update('INTERACTIONS', { ...config, max_bytes: state.bytes + 1_000 });
      const body = { count: 5, events: Array.from({ length: 5 }, () => eventOf()) };
      const refused = await send({ body });
      expect([refused.status, refused.code]).toEqual([503, 'stream_full']);
      await manager.streams.update('INTERACTIONS', { ...config, max_bytes: state.bytes + 10_000_000 });
      expect((await send({ body })).status).toBe(202);
      expect((await stored()).messages).toBe(state.messages + 5);
    });
  });
});
