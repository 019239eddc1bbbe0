import type { Exchange, Reply } from './exchange.js';
import { type Json, type JsonObject, objectOf, parseJson } from './json.js';
import type { Simulator } from './simulator.js';

/** What came back from a call in virtual time. */
export interface VirtualAnswer {
  readonly kind: Reply['kind'];
  /** 0 where no answer came. */
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** The JSON object in the body; empty where there is none. */
  readonly body: JsonObject;
  readonly text: string;
  readonly tookMs: number;
}

/** A client of the simulated account in virtual time, one call after the other: for specs and simulations. */
export class VirtualClient {
  /** The instant of the next call, epoch milliseconds; move it forward to wait. */
  nowMs: number;

  constructor(
    private readonly simulator: Simulator,
    private readonly who: { startMs: number; authorization?: string; caller?: string },
  ) {
    this.nowMs = who.startMs;
  }

  /** Sends a GET and waits for its answer. */
  get(path: string, headers: Readonly<Record<string, string>> = {}): VirtualAnswer {
    return this.call('GET', path, { headers });
  }

  /** Sends a POST and waits for its answer. */
  post(path: string, body: Json, headers: Readonly<Record<string, string>> = {}): VirtualAnswer {
    return this.call('POST', path, { headers, body });
  }

  /** Sends a PUT and waits for its answer. */
  put(path: string, body: Json, headers: Readonly<Record<string, string>> = {}): VirtualAnswer {
    return this.call('PUT', path, { headers, body });
  }

  /** Sends a DELETE and waits for its answer. */
  delete(path: string): VirtualAnswer {
    return this.call('DELETE', path, { headers: {} });
  }

  /** Sends a call and does not wait: time stays where it is. */
  send(method: string, path: string, body?: Json): Exchange {
    return this.simulator.submit(this.requestOf(method, path, { headers: {}, body }), this.nowMs);
  }

  /** Asks the control door. */
  control(method: string, path: string, body: Json = null): Json {
    const [pathname = '', query] = path.split('?');
    const asked = { method, path: pathname, body, query: new URLSearchParams(query) };
    return this.simulator.control(asked, this.nowMs).body;
  }

  private call(
    method: string,
    path: string,
    of: { headers: Readonly<Record<string, string>>; body?: Json },
  ): VirtualAnswer {
    const { reply, delayMs } = this.simulator.call(this.requestOf(method, path, of), this.nowMs);
    this.nowMs += delayMs;
    if (reply.kind !== 'answer')
      return { kind: reply.kind, status: 0, headers: {}, body: {}, text: '', tookMs: delayMs };
    const { status, headers, body: text } = reply;
    return { kind: 'answer', status, headers, body: objectOf(parseJson(text)) ?? {}, text, tookMs: delayMs };
  }

  private requestOf(
    method: string,
    path: string,
    of: { headers: Readonly<Record<string, string>>; body?: Json | undefined },
  ) {
    const { authorization = `Basic ${btoa('agent@acme.example/token:secret')}`, caller } = this.who;
    const own = caller === undefined ? {} : { 'x-simulator-caller': caller };
    return {
      method,
      url: `/api/v2/${path}`,
      headers: { authorization, 'content-type': 'application/json', ...own, ...of.headers },
      ...(of.body === undefined ? {} : { body: JSON.stringify(of.body) }),
    };
  }
}
