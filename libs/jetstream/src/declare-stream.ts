import {
  DiscardPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  jetstreamManager,
  type JetStreamManager,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from '@nats-io/jetstream';
import { errors, type NatsConnection, nanos } from '@nats-io/transport-node';
import { type Backoff, backoffMs, type Clock, systemClock } from '#clock';
import { type StreamName, STREAMS } from '#contracts';
import { type Log, silentLog } from '#telemetry';

export interface StreamSizes {
  /** Full = new messages are refused, never old ones dropped. */
  readonly maxBytes: number;
  readonly maxAgeMs: number;
  readonly replicas: number;
  /** How long JetStream itself drops repeated message ids; default 2 minutes, never more than `maxAgeMs`. */
  readonly duplicateWindowMs?: number;
}

export interface DeclaredStream {
  readonly name: StreamName;
  readonly did: 'created' | 'updated' | 'unchanged';
  /** What the existing stream has otherwise than asked, and was left so, in plain words. */
  readonly differences: readonly string[];
}

/** The server's stream isn't what was asked for, in something that can't be changed or that the server ignored. */
export class StreamMismatch extends Error {
  readonly code = 'stream_mismatch';
  constructor(
    readonly stream: string,
    readonly differences: readonly string[],
  ) {
    super(`stream ${stream} differs from what is asked: ${differences.join('; ')}`);
    this.name = 'StreamMismatch';
  }
}

const DUPLICATE_WINDOW_MS = 120_000;

/**
 * Makes sure that a stream of STREAMS exists as designed (limits retention, files, `discard: new`) and at least as large
 * as asked: sizes, age and replicas are raised or changed by update, except that `max_bytes` is never lowered. What the
 * server answers is compared with what was asked, as old servers ignore options silently. A JetStream that is not ready
 * yet is waited for, about 30 s.
 *
 * @throws StreamMismatch; errors of JetStream's API as they are
 */
export async function declareStream(
  nc: NatsConnection,
  name: StreamName,
  sizes: StreamSizes,
  log: Log = silentLog,
  clock: Clock = systemClock,
): Promise<DeclaredStream> {
  for (let failures = 1; ; failures += 1) {
    try {
      return await declareOnce(nc, name, sizes, log);
    } catch (error) {
      if (failures >= ATTEMPTS_LIMIT || !isPassing(error) || nc.isClosed()) throw error;
      const retryInMs = backoffMs(failures, RETRY);
      log.warn('JetStream is not ready; trying again', { stream: name, reason: (error as Error).message, retryInMs });
      await clock.sleep(retryInMs);
    }
  }
}

/** With the waits between them some 30 s: a server that has just started has its JetStream ready by then. */
const ATTEMPTS_LIMIT = 10;
const RETRY: Backoff = { firstMs: 250, mostMs: 5_000 };
const STATUS_UNAVAILABLE = 503;

/** True for what goes by: no leader yet, JetStream still starting, no answer in time. */
function isPassing(error: unknown): boolean {
  if (error instanceof JetStreamApiError) return error.status === STATUS_UNAVAILABLE;
  return (
    error instanceof errors.TimeoutError ||
    error instanceof errors.NoRespondersError ||
    error instanceof errors.RequestError
  );
}

async function declareOnce(
  nc: NatsConnection,
  name: StreamName,
  sizes: StreamSizes,
  log: Log,
): Promise<DeclaredStream> {
  const manager = await jetstreamManager(nc, { checkAPI: false });
  const asked = configOf(name, sizes);
  const existing = await streamConfig(manager, name);
  if (!existing) {
    const { config } = await manager.streams.add(asked);
    refuseDifferences(name, asked, config);
    log.info('stream created', { stream: name });
    return { name, did: 'created', differences: [] };
  }
  return adapt(manager, name, asked, existing, log);
}

type Asked = Pick<
  StreamConfig,
  | 'name'
  | 'subjects'
  | 'retention'
  | 'storage'
  | 'discard'
  | 'max_bytes'
  | 'max_age'
  | 'num_replicas'
  | 'duplicate_window'
>;

function configOf(name: StreamName, sizes: StreamSizes): Asked {
  const duplicateWindowMs = Math.min(sizes.duplicateWindowMs ?? DUPLICATE_WINDOW_MS, sizes.maxAgeMs);
  return {
    name,
    subjects: [...STREAMS[name].subjects],
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.New,
    max_bytes: sizes.maxBytes,
    max_age: nanos(sizes.maxAgeMs),
    num_replicas: sizes.replicas,
    duplicate_window: nanos(duplicateWindowMs),
  };
}

/** Null where there is no such stream. */
async function streamConfig(manager: JetStreamManager, name: string): Promise<StreamConfig | null> {
  try {
    return (await manager.streams.info(name)).config;
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound) return null;
    throw error;
  }
}

async function adapt(
  manager: JetStreamManager,
  name: StreamName,
  asked: Asked,
  existing: StreamConfig,
  log: Log,
): Promise<DeclaredStream> {
  const differences: string[] = [];
  const wanted = { ...asked };
  // -1 is unlimited. Lowering could make a stream full that isn't, so it is left to the operator.
  if (existing.max_bytes === -1 || existing.max_bytes > asked.max_bytes) {
    differences.push(`max_bytes stays ${existing.max_bytes}, asked ${asked.max_bytes}`);
    wanted.max_bytes = existing.max_bytes;
  }
  if (differences.length > 0) log.warn('stream is larger than asked and stays so', { stream: name, differences });
  const changes = differencesOf(wanted, existing);
  if (changes.length === 0) return { name, did: 'unchanged', differences };
  const { name: _, retention, storage, ...updatable } = wanted;
  if (existing.retention !== retention || existing.storage !== storage) throw new StreamMismatch(name, changes);
  const { config } = await manager.streams.update(name, updatable);
  refuseDifferences(name, wanted, config);
  log.info('stream updated', { stream: name, changes });
  return { name, did: 'updated', differences };
}

function refuseDifferences(name: StreamName, asked: Asked, returned: StreamConfig): void {
  const differences = differencesOf(asked, returned);
  if (differences.length > 0) throw new StreamMismatch(name, differences);
}

function differencesOf(asked: Asked, returned: StreamConfig): string[] {
  return Object.entries(asked)
    .filter(([key, value]) => JSON.stringify(value) !== JSON.stringify(returned[key as keyof Asked]))
    .map(([key, value]) => `${key} is ${JSON.stringify(returned[key as keyof Asked])}, asked ${JSON.stringify(value)}`);
}
