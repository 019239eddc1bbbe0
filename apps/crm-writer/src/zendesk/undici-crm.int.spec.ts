import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { systemClock } from '#clock';
import type { ZendeskCrm } from '#contracts';
import type { StoredRequest } from '../write.store.js';
import { bodyOf, MAX_ANSWER_BYTES, UndiciCrm } from './undici-crm.js';

const apiToken = { kind: 'apiToken', email: 'a@b.example', tokenRef: 'env:X' } as const;
const post: StoredRequest = {
  method: 'POST',
  path: '/api/v2/tickets',
  body: new TextEncoder().encode('{"ticket":{}}'),
  idempotencyKey: 'key-1',
};
const get: StoredRequest = { method: 'GET', path: '/api/v2/x?y=1', body: null, idempotencyKey: null };

describe('the door to Zendesk', () => {
  let server: Server | null = null;
  let crm: UndiciCrm | null = null;
  let secret = (): string => 'secret';

  afterEach(async () => {
    await crm?.close();
    server?.closeAllConnections();
    await new Promise((resolve) => (server ? server.close(resolve) : resolve(null)));
    server = null;
    crm = null;
    secret = () => 'secret';
  });

  async function open(
    answer: (req: IncomingMessage, res: ServerResponse) => void,
    more: Partial<ZendeskCrm> & { maxConnections?: number } = {},
  ): Promise<UndiciCrm> {
    server = createServer(answer);
    await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve));
    const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const account = { baseUrl, credential: apiToken, timeScale: 1, ...more };
    crm = new UndiciCrm({
      crm: account,
      clock: systemClock,
      userAgent: 'sluice/1',
      secret: () => secret(),
      maxConnections: more.maxConnections ?? 4,
    });
    return crm;
  }

  const soon = (): { notAfterMonoMs: number; timeoutMs: number } => ({
    notAfterMonoMs: systemClock.monotonicMs() + 2_000,
    timeoutMs: 1_000,
  });

  it('sends nothing, and says so, where the secret can’t be read', async () => {
    let requests = 0;
    const door = await open((_req, res) => {
      requests += 1;
      res.end();
    });
    secret = () => {
      throw new Error('gone');
    };
    expect(await door.send(post, soon())).toEqual({
      answer: 'lost',
      reason: 'credential_unavailable',
      maybeArrived: false,
      sentAtMonoMs: null,
    });
    expect(requests).toBe(0);
  });

  it('sends the bytes with credentials, key and name', async () => {
    let seen: IncomingMessage | null = null;
    let body = '';
    const door = await open((req, res) => {
      seen = req;
      req.on('data', (chunk: Buffer) => (body += chunk.toString()));
      req.on('end', () =>
        res.writeHead(201, { 'content-type': 'application/json', 'X-Request-Id': 'r1' }).end('{"ticket":{"id":7}}'),
      );
    });
    const answer = await door.send(post, soon());
    expect(answer).toMatchObject({
      answer: 'answered',
      response: {
        status: 201,
        headers: { 'x-request-id': 'r1' },
        body: { type: 'json', value: { ticket: { id: 7 } } },
      },
    });
    expect(body).toBe('{"ticket":{}}');
    expect(seen!.headers).toMatchObject({
      authorization: `Basic ${Buffer.from('a@b.example/token:secret').toString('base64')}`,
      'idempotency-key': 'key-1',
      'user-agent': 'sluice/1',
      'content-type': 'application/json',
    });
    expect(seen!.headers).not.toHaveProperty('x-simulator-caller');
  });

  it('shows an OAuth token as Bearer, and itself to a simulator', async () => {
    let headers: IncomingMessage['headers'] = {};
    const door = await open(
      (req, res) => {
        headers = req.headers;
        res.writeHead(200, { 'content-type': 'application/json' }).end('{}');
      },
      { credential: { kind: 'oauth', tokenRef: 'env:X' }, timeScale: 10 },
    );
    await door.send(get, soon());
    expect(headers).toMatchObject({ authorization: 'Bearer secret', 'x-simulator-caller': 'sluice' });
    expect(headers).not.toHaveProperty('content-type');
  });

  it('sends nothing when the grant is no longer valid', async () => {
    let arrived = 0;
    const door = await open((_req, res) => {
      arrived += 1;
      res.end();
    });
    const answer = await door.send(post, { notAfterMonoMs: systemClock.monotonicMs() - 1, timeoutMs: 1_000 });
    expect(answer).toEqual({ answer: 'lost', reason: 'too_late', maybeArrived: false, sentAtMonoMs: null });
    const held = await door.send(get, soon());
    expect(held.answer).toBe('answered');
    expect(arrived).toBe(1);
  });

  it('sends nothing that got no connection within its time', async () => {
    let release: () => void = () => undefined;
    const door = await open(
      (_req, res) => (release = () => res.writeHead(200, { 'content-type': 'application/json' }).end('{}')),
      {
        maxConnections: 1,
      },
    );
    const first = door.send(get, soon());
    const second = await door.send(post, { notAfterMonoMs: systemClock.monotonicMs() + 50, timeoutMs: 1_000 });
    expect(second).toMatchObject({ answer: 'lost', reason: 'too_late', maybeArrived: false });
    release();
    expect((await first).answer).toBe('answered');
  });

  it('knows that nothing arrived where nobody listens', async () => {
    const door = await open(() => undefined);
    await new Promise((resolve) => server!.close(resolve));
    server = null;
    expect(await door.send(post, soon())).toMatchObject({
      answer: 'lost',
      reason: 'not_connected',
      maybeArrived: false,
    });
  });

  it('does not know whether it arrived where the connection is lost, or no answer comes', async () => {
    const door = await open((req) => {
      if (req.method === 'POST') req.socket.destroy();
    });
    expect(await door.send(post, soon())).toMatchObject({
      answer: 'lost',
      reason: 'connection_lost',
      maybeArrived: true,
    });
    expect(await door.send(get, { ...soon(), timeoutMs: 50 })).toMatchObject({
      answer: 'lost',
      reason: 'timeout',
      maybeArrived: true,
    });
  });

  it('reads no more of an answer than it can hold', async () => {
    const door = await open((_req, res) => {
      res.writeHead(200, { 'content-type': 'application/json' });
      res.end(Buffer.alloc(MAX_ANSWER_BYTES + 1, 32));
    });
    expect(await door.send(get, { ...soon(), timeoutMs: 10_000 })).toMatchObject({
      answer: 'lost',
      reason: 'answer_too_large',
      maybeArrived: true,
    });
  });
});

describe('a body', () => {
  it('is parsed only where its content type says so', () => {
    const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
    expect(bodyOf(bytes('{"a":1}'), 'application/json; charset=utf-8')).toEqual({ type: 'json', value: { a: 1 } });
    expect(bodyOf(bytes('{"a":1}'), 'text/plain')).toEqual({ type: 'text', text: '{"a":1}' });
    expect(bodyOf(bytes('<html>'), 'application/json')).toMatchObject({ type: 'unreadable' });
    expect(bodyOf(bytes('x'), undefined)).toMatchObject({ type: 'unreadable' });
    expect(bodyOf(bytes(''), 'application/json')).toEqual({ type: 'none' });
  });
});
