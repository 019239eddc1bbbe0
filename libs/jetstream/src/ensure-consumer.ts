import {
  AckPolicy,
  type Consumer,
  type ConsumerConfig,
  DeliverPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  jetstream,
  type JetStreamManager,
} from '@nats-io/jetstream';
import { nanos } from '@nats-io/transport-node';
import type { ConsumeOptions } from './consume.js';
import { StreamMismatch } from './declare-stream.js';

/** At least so many messages may be unacknowledged, for a throughput that doesn't hang on the batch size. */
const LEAST_ACK_PENDING = 1_024;
const ACK_PENDING_BATCHES = 16;
/** Deliveries without bound: what can never succeed is ended by its handler, with a reason, not by a counter. */
const DELIVERIES_UNLIMITED = -1;

type Asked = Required<
  Pick<
    ConsumerConfig,
    'durable_name' | 'ack_policy' | 'deliver_policy' | 'ack_wait' | 'max_ack_pending' | 'max_deliver'
  >
> &
  Pick<ConsumerConfig, 'filter_subject'>;

/**
 * The durable consumer as asked: created, or its changeable settings updated, and the server's answer compared with what
 * was asked (servers before 2.10 update silently where later ones refuse, and ignore what they don't know).
 *
 * @throws StreamMismatch where it differs in something that can't be changed; errors of JetStream's API, such as
 * "stream not found"
 */
export async function ensureConsumer(options: ConsumeOptions): Promise<Consumer> {
  const { nc, stream, durable } = options;
  const js = jetstream(nc);
  const manager = await js.jetstreamManager(false);
  const asked = configOf(options);
  const existing = await consumerConfig(manager, stream, durable);
  const config = existing
    ? await adapt(manager, stream, asked, existing)
    : (await manager.consumers.add(stream, asked)).config;
  const differences = differencesOf(asked, config);
  if (differences.length > 0) throw new StreamMismatch(`${stream}, consumer ${durable}`, differences);
  return js.consumers.get(stream, durable);
}

function configOf({ durable, filterSubject, ackWaitMs, maxAckPending, maxBatch }: ConsumeOptions): Asked {
  return {
    durable_name: durable,
    ack_policy: AckPolicy.Explicit,
    deliver_policy: DeliverPolicy.All,
    ack_wait: nanos(ackWaitMs),
    max_ack_pending: maxAckPending ?? Math.max(LEAST_ACK_PENDING, maxBatch * ACK_PENDING_BATCHES),
    max_deliver: DELIVERIES_UNLIMITED,
    ...(filterSubject === undefined ? {} : { filter_subject: filterSubject }),
  };
}

async function consumerConfig(
  manager: JetStreamManager,
  stream: string,
  durable: string,
): Promise<ConsumerConfig | null> {
  try {
    return (await manager.consumers.info(stream, durable)).config;
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.ConsumerNotFound) return null;
    throw error;
  }
}

async function adapt(
  manager: JetStreamManager,
  stream: string,
  asked: Asked,
  existing: ConsumerConfig,
): Promise<ConsumerConfig> {
  if (differencesOf(asked, existing).length === 0) return existing;
  const { durable_name: durable, ack_policy: _, deliver_policy: __, ...changeable } = asked;
  return (await manager.consumers.update(stream, durable, changeable)).config;
}

function differencesOf(asked: Asked, returned: ConsumerConfig): string[] {
  return Object.entries(asked)
    .filter(([key, value]) => value !== returned[key as keyof Asked])
    .map(([key, value]) => `${key} is ${String(returned[key as keyof Asked])}, asked ${String(value)}`);
}
