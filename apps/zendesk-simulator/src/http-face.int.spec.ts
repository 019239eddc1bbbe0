import { connect } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { until } from '../../../test/support/until.js';
import { type RunningSimulator, startSimulator } from './start-simulator.js';
import type { SimulatorChoices } from './domain/simulator.js';

const AUTHORIZATION = `Basic ${Buffer.from('agent@acme.example/token:secret').toString('base64')}`;
const HEADERS = { authorization: AUTHORIZATION, 'content-type': 'application/json', 'user-agent': 'spec/1' };
const TICKET = JSON.stringify({ ticket: { comment: { body: 'A call' }, external_id: 'call-1' } });

describe('the simulator behind HTTP', () => {
  let running: RunningSimulator | undefined;

  afterEach(async () => {
    await running?.stop();
    running = undefined;
  });

  async function start(choices: SimulatorChoices = {}, speed = 1): Promise<string> {
    running = await startSimulator({ port: 0, host: '127.0.0.1', speed, choices: { latencyScale: 0, ...choices } });
    return running.url;
  }

  async function control(url: string, method: string, path: string, body?: object): Promise<Record<string, never>> {
    const response = await fetch(`${url}/_control${path}`, { method, ...(body ? { body: JSON.stringify(body) } : {}) });
    return (await response.json()) as Record<string, never>;
  }

  it('answers a ticket with links to itself', async () => {
    const url = await start();
    const response = await fetch(`${url}/api/v2/tickets.json`, { method: 'POST', headers: HEADERS, body: TICKET });
    expect(response.status).toBe(201);
    expect(response.headers.get('location')).toBe(`${url}/api/v2/tickets/1.json`);
    expect(Math.abs(Date.parse(response.headers.get('date') ?? '') - Date.now())).toBeLessThan(2000);
    expect(response.headers.has('x-simulator-speed')).toBe(false);
  });

  /** How far the end of the window that an answer tells of lies from the turn of a window of this length. */
  async function missOfTurn(
    url: string,
    lengthMs: number,
    speed: number,
  ): Promise<{ missMs: number; doubtMs: number }> {
    const askedAtMs = Date.now();
    const response = await fetch(`${url}/api/v2/tickets/count`, { headers: HEADERS });
    const answeredAtMs = Date.now();
    const endMs = askedAtMs + (Number(response.headers.get('ratelimit-reset')) * 1000) / speed;
    const apartMs = endMs % lengthMs;
    const secondMs = 1000 / speed;
    return { missMs: Math.min(apartMs, lengthMs - apartMs), doubtMs: answeredAtMs - askedAtMs + secondMs };
  }

  it('counts the minute of the real clock', async () => {
    const { missMs, doubtMs } = await missOfTurn(await start(), 60_000, 1);
    expect(missMs).toBeLessThanOrEqual(doubtMs + 1000);
  });

  it('refuses in plain text', async () => {
    const url = await start({ limitPerMinute: 1, edgeLagMs: 0 });
    const statuses: number[] = [];
    let text = '';
    for (let sent = 0; sent < 3 && !text; sent += 1) {
      const response = await fetch(`${url}/api/v2/tickets/count`, { headers: HEADERS });
      statuses.push(response.status);
      if (response.status === 429) text = await response.text();
    }
    expect(text).toBe('Number of allowed API requests per minute exceeded');
  });

  it('lets time pass faster, in windows of the scaled length, and tells so', async () => {
    const url = await start({ edgeLagMs: 0 }, 60);
    const response = await fetch(`${url}/api/v2/tickets/count`, { headers: HEADERS });
    expect(response.headers.get('x-simulator-speed')).toBe('60');
    const { missMs, doubtMs } = await missOfTurn(url, 1000, 60);
    expect(missMs).toBeLessThanOrEqual(doubtMs + 1);
    expect(Math.abs(Date.parse(response.headers.get('date') ?? '') - Date.now())).toBeLessThan(2000);
  });

  it('breaks the connection where told to, after the effect', async () => {
    const url = await start();
    await control(url, 'POST', '/faults', { effect: { type: 'reset', when: 'after' }, count: 1 });
    await expect(fetch(`${url}/api/v2/tickets`, { method: 'POST', headers: HEADERS, body: TICKET })).rejects.toThrow(
      /fetch failed/,
    );
    expect(await control(url, 'GET', '/books')).toMatchObject({ tickets: 1 });
  });

  it('says nothing where told to, and stops all the same', async () => {
    const url = await start();
    await control(url, 'POST', '/faults', { effect: { type: 'silence', when: 'after' }, count: 1 });
    const giveUp = new AbortController();
    const sent = fetch(`${url}/api/v2/tickets`, {
      method: 'POST',
      headers: HEADERS,
      body: TICKET,
      signal: giveUp.signal,
    });
    await until('the ticket is there', async () => Number((await control(url, 'GET', ''))['tickets']) === 1);
    giveUp.abort();
    await expect(sent).rejects.toThrow(/aborted/);
    expect(await control(url, 'GET', '/books')).toMatchObject({
      tickets: 1,
      callers: { 'agent@acme.example spec': { calls: 1 } },
    });
    const hanging = connect(Number(new URL(url).port), '127.0.0.1');
    hanging.on('error', () => undefined);
    await running?.stop();
    running = undefined;
    hanging.destroy();
  });

  it('sends headers in the case it is told to', async () => {
    const url = await start({ headerCase: 'title' });
    const head = await new Promise<string>((resolve, reject) => {
      const socket = connect(Number(new URL(url).port), '127.0.0.1', () => {
        socket.write(
          `GET /api/v2/tickets/count HTTP/1.1\r\nHost: x\r\nAuthorization: ${AUTHORIZATION}\r\nConnection: close\r\n\r\n`,
        );
      });
      let text = '';
      socket.on('data', (bytes) => (text += bytes.toString()));
      socket.on('end', () => resolve(text));
      socket.on('error', reject);
    });
    expect(head).toContain('X-Rate-Limit-Remaining: 399');
  });

  it('takes uploads of any type, and says in Zendesk’s words when they are too large', async () => {
    const url = await start({ uploadLimitBytes: 1000 });
    const upload = (bytes: number): Promise<Response> =>
      fetch(`${url}/api/v2/uploads?filename=a.wav`, {
        method: 'POST',
        headers: { ...HEADERS, 'content-type': 'audio/wav' },
        body: Buffer.alloc(bytes),
      });
    expect((await upload(1000)).status).toBe(201);
    const refused = await upload(1001);
    expect(refused.status).toBe(413);
    expect(await refused.json()).toMatchObject({ error: 'AttachmentTooLarge' });
  });

  it('says what is wrong with what the control door is sent', async () => {
    const url = await start();
    const response = await fetch(`${url}/_control/faults`, { method: 'POST', body: '{' });
    expect(response.status).toBe(400);
    expect(await control(url, 'GET', '/nonsense')).toMatchObject({ error: 'unknown control request' });
  });

  it('lets jobs go on while nobody asks', async () => {
    const url = await start({ jobTimeScale: 0 });
    const body = JSON.stringify({ tickets: [{ comment: { body: 'x' } }] });
    await fetch(`${url}/api/v2/tickets/create_many`, { method: 'POST', headers: HEADERS, body });
    expect(await control(url, 'GET', '')).toMatchObject({ tickets: 1, jobsInFlight: [] });
  });
});
