import type { Credential } from './options.js';
import type { User } from './records.js';
import { createUser } from './users.js';
import type { World } from './world.js';

/** Who a request says it is, and whether the account believes it. */
export interface Identity {
  /** `agent@example.com` or `bearer`; never the secret. */
  readonly name: string;
  readonly accepted: boolean;
  readonly credential: Credential | undefined;
}

const NOBODY: Identity = { name: 'anonymous', accepted: false, credential: undefined };

const IDENTITIES_KEPT = 1000;

/** Judges a request's `Authorization` header, or remembers how it was judged. */
export function identityOf(world: World, authorization: string | undefined): Identity {
  const header = authorization ?? '';
  let identity = world.identities.get(header);
  if (!identity) {
    identity = identify(world.options.credentials, header);
    if (world.identities.size >= IDENTITIES_KEPT) world.identities.clear();
    world.identities.set(header, identity);
  }
  return identity;
}

/**
 * Judges an `Authorization` header against the account's credentials. Where the account has none, any credential that
 * isn't empty will do.
 */
export function identify(credentials: readonly Credential[], authorization: string): Identity {
  const match = /^(basic|bearer)\s+(\S+)$/i.exec(authorization);
  if (!match) return NOBODY;
  const kind = match[1]?.toLowerCase() === 'basic' ? 'basic' : 'bearer';
  const value = kind === 'basic' ? decoded(match[2] ?? '') : (match[2] ?? '');
  if (value === undefined || value === '' || (kind === 'basic' && !/^[^:]+:.+$/.test(value))) return NOBODY;
  const name = kind === 'basic' ? (value.split(/[:/]/)[0] ?? '') : `bearer-${value.slice(0, 4)}`;
  if (credentials.length === 0) return { name, accepted: true, credential: undefined };
  const credential = credentials.find((known) => known.kind === kind && known.value === value);
  return { name, accepted: credential !== undefined, credential };
}

/** The agent that a credential stands for; made when first seen. */
export function actorOf(world: World, name: string): User {
  const known = world.users.get(world.actorIds.get(name) ?? world.userIdByEmail.get(name.toLowerCase()) ?? -1);
  if (known) return known;
  const email = name.includes('@') ? name.toLowerCase() : undefined;
  const user = createUser(world, { name, email, role: 'admin', rest: { verified: true } }, world.nowMs);
  world.actorIds.set(name, user.id);
  return user;
}

/**
 * The name under which the books write a caller: what it calls itself, else its credential and the product that its
 * User-Agent names.
 */
export function callerOf(identity: Identity, headers: Readonly<Record<string, string | undefined>>): string {
  const said = headers['x-simulator-caller'];
  if (said) return said.slice(0, 100);
  const product = /^[^\s/]+/.exec(headers['user-agent'] ?? '')?.[0];
  return product ? `${identity.name} ${product}`.slice(0, 100) : identity.name;
}

function decoded(base64: string): string | undefined {
  try {
    return atob(base64);
  } catch {
    return undefined;
  }
}
