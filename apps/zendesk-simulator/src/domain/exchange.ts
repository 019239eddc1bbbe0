import type { Json } from './json.js';

/** One HTTP request as it reaches the simulated Zendesk. */
export interface SimulatorRequest {
  readonly method: string;
  /** Path and query, e.g. `/api/v2/tickets.json?external_id=call-1`. */
  readonly url: string;
  /** Header names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** The body as text; uploads may leave it out and say only how long it is. */
  readonly body?: string;
  /** Length of the body; taken from `body` when absent. */
  readonly bodyBytes?: number;
  readonly ip?: string;
  /** Scheme and host that links in the answer begin with. */
  readonly origin?: string;
}

/** What the caller gets to see. */
export type Reply =
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly headers: Readonly<Record<string, string>>;
      readonly body: string;
    }
  /** The connection breaks. */
  | { readonly kind: 'reset' }
  /** Nothing ever comes: the caller's time-out has to end it. */
  | { readonly kind: 'silence' };

/** A request on its way: its reply may be collected from `readyAtMs` on (simulated time). */
export interface Exchange {
  readonly id: number;
  readonly submittedAtMs: number;
  readyAtMs: number;
  reply: Reply | undefined;
}

/** What a handler says, before headers and timing are put to it. */
export interface Answer {
  readonly status: number;
  readonly body: Json;
  /** Set where the body isn't JSON. */
  readonly text?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Content types of answers. */
export const JSON_TYPE = 'application/json; charset=utf-8';
export const TEXT_TYPE = 'text/plain; charset=utf-8';

/** An answer with a JSON body. */
export function answer(status: number, body: Json, headers?: Readonly<Record<string, string>>): Answer {
  return headers ? { status, body, headers } : { status, body };
}
