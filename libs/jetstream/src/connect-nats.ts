import { connect, errors, type NatsConnection } from '@nats-io/transport-node';
import { type Backoff, backoffMs, type Clock, settledWithin, systemClock } from '#clock';
import { type Log, silentLog } from '#telemetry';
import { connectionState } from './connection-state.js';

/** Oldest nats-server on which everything used here was seen working. */
export const LEAST_SERVER_VERSION = '2.9.0';

/** The server is older than anything this release works with. */
export class ServerTooOld extends Error {
  readonly code = 'nats_server_too_old';
  constructor(readonly serverVersion: string) {
    super(
      `nats-server ${serverVersion} is too old: at least ${LEAST_SERVER_VERSION} is needed (2.10 or later advised)`,
    );
    this.name = 'ServerTooOld';
  }
}

export interface NatsOptions {
  /** `nats://host:port`, one or several, in a list or separated by commas. */
  readonly servers: string | readonly string[];
  /** Empty or left out = none. */
  readonly user?: string;
  readonly password?: string;
  /** Shown in the server's monitoring. */
  readonly name: string;
  /** All answers arrive under it; the server's permissions tie it to the user. Default `_INBOX`. */
  readonly inboxPrefix?: string;
  readonly log?: Log;
  /** Ends the wait for the first connection. */
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
}

/** Waits before the first connection is tried again. */
const FIRST_CONNECT: Backoff = { firstMs: 200, mostMs: 5_000 };

const RECONNECT_WAIT_MS = 250;
const RECONNECT_JITTER_MS = 100;
const PING_INTERVAL_MS = 10_000;
const PINGS_UNANSWERED_LIMIT = 2;
const CONNECT_LIMIT_MS = 5_000;

/**
 * Connects, waiting for the first connection for as long as it takes, and reconnects for ever afterwards. Says in the
 * log when it waits, and when the connection comes and goes.
 *
 * @throws ServerTooOld; the client's AuthorizationError where user or password are wrong; the signal's reason
 */
export async function connectNats(options: NatsOptions): Promise<NatsConnection> {
  const { log = silentLog, clock = systemClock, signal } = options;
  for (let failures = 1; ; failures += 1) {
    signal?.throwIfAborted();
    try {
      return await connectOnce(options, log);
    } catch (error) {
      if (error instanceof ServerTooOld || error instanceof errors.AuthorizationError) throw error;
      const retryInMs = backoffMs(failures, FIRST_CONNECT);
      log.warn('NATS is not there yet', { reason: (error as Error).message, retryInMs });
      await clock.sleep(retryInMs, signal);
    }
  }
}

async function connectOnce(options: NatsOptions, log: Log): Promise<NatsConnection> {
  const servers = typeof options.servers === 'string' ? options.servers.split(',') : options.servers;
  const nc = await connect({
    servers: servers.map((server) => server.trim()),
    ...(options.user ? { user: options.user, pass: options.password ?? '' } : {}),
    name: options.name,
    ...(options.inboxPrefix === undefined ? {} : { inboxPrefix: options.inboxPrefix }),
    maxReconnectAttempts: -1,
    // A server that is being given new users refuses us for a while; without this that would be for ever.
    ignoreAuthErrorAbort: true,
    reconnectTimeWait: RECONNECT_WAIT_MS,
    reconnectJitter: RECONNECT_JITTER_MS,
    pingInterval: PING_INTERVAL_MS,
    maxPingOut: PINGS_UNANSWERED_LIMIT,
    timeout: CONNECT_LIMIT_MS,
    // Without it every request builds two stack traces.
    noAsyncTraces: true,
  });
  const version = nc.info?.version ?? 'unknown';
  if (isOlder(version, LEAST_SERVER_VERSION)) {
    await nc.close();
    throw new ServerTooOld(version);
  }
  log.info('connected to NATS', { server: nc.getServer(), version });
  const state = connectionState(nc);
  state.onDisconnect(() => {
    if (!nc.isClosed()) log.warn('NATS connection lost; reconnecting');
  });
  state.onError((error) => log.error('NATS refused something', { reason: error.message }));
  state.onReconnect(() => log.info('NATS connection is back', { server: nc.getServer() }));
  return nc;
}

/** True where version `a` (`2.9.10`, `2.11.0-beta.1`) is older than `b`. Versions that can't be read aren't. */
export function isOlder(a: string, b: string): boolean {
  const [left, right] = [partsOf(a), partsOf(b)];
  if (!left || !right) return false;
  for (let i = 0; i < left.length; i += 1) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

function partsOf(version: string): readonly number[] | null {
  const found = /^v?(\d+)\.(\d+)\.(\d+)/.exec(version);
  return found ? found.slice(1).map(Number) : null;
}

/** For `/health/ready`: null when connected, else why not. */
export function checkNats(nc: NatsConnection): () => string | null {
  const state = connectionState(nc);
  return () => (nc.isClosed() ? 'the connection is closed' : state.connected ? null : 'disconnected; reconnecting');
}

/** Longest wait for the server's word that everything written has arrived. */
const CLOSE_LIMIT_MS = 2_000;

/** Sends what is written, then closes: acknowledgements and answers still go out. Doesn't wait for a server that is away. */
export async function closeNats(nc: NatsConnection, clock: Clock = systemClock): Promise<void> {
  if (nc.isClosed()) return;
  if (connectionState(nc).connected) await settledWithin(nc.drain(), CLOSE_LIMIT_MS, clock);
  if (!nc.isClosed()) await nc.close();
}
