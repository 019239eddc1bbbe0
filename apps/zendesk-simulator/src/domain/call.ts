import { type Json, type JsonObject, objectOf, parseJson } from './json.js';
import type { OperationKind } from './operations.js';
import type { SimulatorRequest } from './exchange.js';
import type { User } from './records.js';
import type { World } from './world.js';

/** A request that was understood: which call it is, who makes it, with what. */
export interface Call {
  readonly world: World;
  readonly request: SimulatorRequest;
  readonly method: string;
  /** Path without `/api/v2/` and `.json`, e.g. `tickets/17`. */
  readonly path: string;
  readonly segments: readonly string[];
  readonly query: URLSearchParams;
  readonly kind: OperationKind;
  /** Who the books say has called. */
  readonly caller: string;
  readonly origin: string;
  readonly ip: string;
  /** The user that the credential stands for; set once the call was let in. */
  actor: User | undefined;
  /** Parameters that were not known, to be warned of. */
  readonly unknownParameters: string[];
  parsedBody: Json | undefined;
}

const NO_QUERY = new URLSearchParams();

/** The query of a URL; the empty one is shared. */
export function queryOf(url: string): URLSearchParams {
  const at = url.indexOf('?');
  return at < 0 ? NO_QUERY : new URLSearchParams(url.slice(at + 1));
}

/** The call's body as a JSON object, or undefined. Parsed once. */
export function bodyOf(call: Call): JsonObject | undefined {
  if (call.parsedBody === undefined && call.request.body) call.parsedBody = parseJson(call.request.body);
  return objectOf(call.parsedBody);
}

/** The object that a write must carry under this name, or undefined. */
export function memberOf(call: Call, name: string): JsonObject | undefined {
  return objectOf(bodyOf(call)?.[name]);
}

/** The whole number at this place of the path (`tickets/17` → 17), or -1. */
export function idAt(call: Call, position: number): number {
  const text = call.segments[position] ?? '';
  return /^\d{1,15}$/.test(text) ? Number(text) : -1;
}

/** A link to something of the account. */
export function linkTo(call: Call, path: string): string {
  return `${call.origin}/api/v2/${path}`;
}
