import { jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Parsed, StreamName } from '#contracts';

/** Everything a stream holds now, in its order. Throws where a message isn't what the stream should hold. */
export async function readStream<T>(
  nc: NatsConnection,
  stream: StreamName,
  parse: (bytes: Uint8Array) => Parsed<T>,
): Promise<T[]> {
  const consumer = await jetstream(nc).consumers.get(stream);
  let { num_pending: left } = await consumer.info(true);
  const read: T[] = [];
  if (left === 0) return read;
  const messages = await consumer.consume();
  for await (const message of messages) {
    const parsed = parse(message.data);
    if (!parsed.ok) throw new Error(`${stream} #${message.seq}: ${parsed.reason}`);
    read.push(parsed.value);
    left -= 1;
    if (left === 0) break;
  }
  return read;
}
