import type { AccountConfig } from '#contracts';
import { type NatsUser, natsUsers } from './nats-users.js';

export interface NatsServerSettings {
  readonly accounts: readonly AccountConfig[];
  /** A password for every user of `natsUsers(accounts)`. */
  readonly passwords: Readonly<Record<string, string>>;
  /** `2.10.27`: older servers refuse to start on a field that they don't know. */
  readonly serverVersion: string;
  /** -1: the server picks a free one. */
  readonly port: number;
  /** The server's own books over HTTP, without a password: keep it from the outside. */
  readonly monitorPort: number;
  /** Address both doors listen on. */
  readonly host: string;
  readonly storeDir: string;
  /** True: an acknowledged message is on the disk, not only in the system's memory. Servers before 2.10 can't. */
  readonly syncAlways: boolean;
}

/** From this version on a server can write every message to the disk before it acknowledges it. */
const SYNC_ALWAYS_SINCE = { major: 2, minor: 10 };

/** True if this server can promise that an acknowledged message survives a power failure. */
export function canSyncAlways(serverVersion: string): boolean {
  const [major = 0, minor = 0] = serverVersion.split('.').map(Number);
  return major > SYNC_ALWAYS_SINCE.major || (major === SYNC_ALWAYS_SINCE.major && minor >= SYNC_ALWAYS_SINCE.minor);
}

/**
 * The text of nats-server.conf for these accounts, for a server of this version. It holds the passwords: write it so that
 * only the server can read it. Throws where a user's password is missing or could be taken for something else.
 */
export function natsServerConfig(settings: NatsServerSettings): string {
  const { host, port, monitorPort, storeDir, passwords } = settings;
  const sync = settings.syncAlways && canSyncAlways(settings.serverVersion) ? ['  sync_interval: always'] : [];
  const users = natsUsers(settings.accounts).map((user) => userBlock(user, passwordOf(user, passwords)));
  return [
    '# Made by Sluice from its accounts: edit those instead.',
    'server_name: sluice',
    `host: ${quoted(host)}`,
    `port: ${port}`,
    `http: ${quoted(`${host}:${monitorPort}`)}`,
    'jetstream {',
    `  store_dir: ${quoted(storeDir)}`,
    ...sync,
    '}',
    'authorization {',
    '  users: [',
    ...users,
    '  ]',
    '}',
    '',
  ].join('\n');
}

function userBlock({ user, permissions }: NatsUser, password: string): string {
  const list = (subjects: readonly string[]): string => `[${subjects.map(quoted).join(', ')}]`;
  return [
    '    {',
    `      user: ${quoted(user)}`,
    `      password: ${quoted(password)}`,
    '      permissions: {',
    `        publish: { allow: ${list(permissions.publish)} }`,
    `        subscribe: { allow: ${list(permissions.subscribe)} }`,
    '      }',
    '    }',
  ].join('\n');
}

function passwordOf({ user }: NatsUser, passwords: Readonly<Record<string, string>>): string {
  const password = Object.hasOwn(passwords, user) ? passwords[user] : undefined;
  if (password === undefined || password === '') throw new Error(`There is no NATS password for ${user}.`);
  // The server takes `$2a$…` for a bcrypt hash; and what isn't printable ASCII needs more quoting than it understands.
  if (password.startsWith('$2') || !/^[\x20-\x7e]+$/.test(password))
    throw new Error(`The NATS password of ${user} must be printable ASCII and not begin with $2.`);
  return password;
}

/** A string as nats-server reads it: in double quotes, where neither `$` nor `#` means anything. */
function quoted(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}
