import type { IncomingMessage, ServerResponse } from 'node:http';
import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import type { Exchange, Reply } from './domain/exchange.js';
import type { Json } from './domain/json.js';
import type { ControlAnswer } from './domain/control.js';
import { Simulator } from './domain/simulator.js';
import { ScaledClock } from './scaled-clock.js';

const ADVANCE_EVERY_MS = 50;

/** Puts the simulator on the real clock: bytes in, bytes out, each when its time has come. */
@Injectable()
export class HttpFace implements OnApplicationShutdown {
  private readonly timers = new Set<NodeJS.Timeout>();
  private readonly heartbeat: NodeJS.Timeout;

  constructor(
    private readonly simulator: Simulator,
    private readonly clock: ScaledClock,
  ) {
    this.heartbeat = setInterval(() => this.simulator.advanceTo(this.clock.nowMs()), ADVANCE_EVERY_MS);
    this.heartbeat.unref();
  }

  /** Serves one request of a Zendesk client. */
  serve(request: IncomingMessage, response: ServerResponse, body: Buffer | undefined): void {
    const url = request.url ?? '/';
    const isUpload = url.startsWith('/api/v2/uploads');
    const exchange = this.simulator.submit(
      {
        method: request.method ?? 'GET',
        url,
        headers: singleHeaders(request),
        ...(body && !isUpload ? { body: body.toString('utf8') } : {}),
        bodyBytes: body?.length ?? 0,
        ip: request.socket.remoteAddress ?? '127.0.0.1',
        origin: `http://${request.headers.host ?? '127.0.0.1'}`,
      },
      this.clock.nowMs(),
    );
    this.answerWhenReady(exchange, request, response);
  }

  /** Serves one request to the control door. */
  control(request: IncomingMessage, body: Buffer | undefined): ControlAnswer {
    const url = new URL(request.url ?? '/', 'http://127.0.0.1');
    const path = url.pathname.replace(/^\/_control/, '');
    const text = body?.toString('utf8') ?? '';
    let parsed: Json = null;
    try {
      if (text.trim() !== '') parsed = JSON.parse(text) as Json;
    } catch {
      return { status: 400, body: { error: 'the body is not JSON' } };
    }
    const asked = { method: request.method ?? 'GET', path, query: url.searchParams, body: parsed };
    return this.simulator.control(asked, this.clock.nowMs());
  }

  onApplicationShutdown(): void {
    clearInterval(this.heartbeat);
    for (const timer of this.timers) clearTimeout(timer);
    this.timers.clear();
  }

  private answerWhenReady(exchange: Exchange, request: IncomingMessage, response: ServerResponse): void {
    const nowMs = this.clock.nowMs();
    const reply = this.simulator.collect(exchange, nowMs);
    if (reply) return this.write(reply, request, response);
    const waitMs = Math.max(1, Math.ceil(this.clock.realMs(exchange.readyAtMs - nowMs)));
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      this.answerWhenReady(exchange, request, response);
    }, waitMs);
    this.timers.add(timer);
  }

  private write(reply: Reply, request: IncomingMessage, response: ServerResponse): void {
    switch (reply.kind) {
      case 'silence':
        return;
      case 'reset':
        request.socket.resetAndDestroy();
        return;
      case 'answer': {
        if (response.destroyed) return;
        response.sendDate = false;
        response.writeHead(reply.status, this.headersOf(reply));
        response.end(reply.body);
        return;
      }
    }
    reply satisfies never;
  }

  /** With the length of the body; at other speeds than 1 every answer tells the speed. */
  private headersOf(reply: Extract<Reply, { kind: 'answer' }>): Record<string, string> {
    const headers: Record<string, string> = { ...reply.headers };
    if (reply.status !== 204) headers['content-length'] = String(Buffer.byteLength(reply.body));
    if (this.clock.speed !== 1) headers['x-simulator-speed'] = String(this.clock.speed);
    return headers;
  }
}

function singleHeaders(request: IncomingMessage): Record<string, string | undefined> {
  const headers: Record<string, string | undefined> = {};
  for (const [name, value] of Object.entries(request.headers))
    headers[name] = Array.isArray(value) ? value.join(', ') : value;
  return headers;
}
