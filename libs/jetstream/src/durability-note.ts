import type { NatsConnection } from '@nats-io/transport-node';
import { isOlder } from './connect-nats.js';

/** First server that can be told to fsync before it acknowledges (`sync_interval: always`). */
const SYNC_ALWAYS_SINCE = '2.10.0';

/** What is known of what a PubAck is worth, in one sentence for the log. A client can't read the server's `sync_interval`. */
export function durabilityNote(nc: NatsConnection): {
  readonly serverVersion: string;
  /** `not-fsynced`: certainly not; `by-configuration`: only where the server's `sync_interval` is `always`. */
  readonly acknowledged: 'not-fsynced' | 'by-configuration';
  readonly note: string;
} {
  const serverVersion = nc.info?.version ?? 'unknown';
  if (isOlder(serverVersion, SYNC_ALWAYS_SINCE))
    return {
      serverVersion,
      acknowledged: 'not-fsynced',
      note:
        `nats-server ${serverVersion} acknowledges before it fsyncs (every 2 minutes by default): ` +
        'acknowledged messages survive its crash, not a power failure. Servers since 2.10 can be told `sync_interval: always`.',
    };
  return {
    serverVersion,
    acknowledged: 'by-configuration',
    note:
      `nats-server ${serverVersion} acknowledges before it fsyncs unless its configuration says ` +
      '`jetstream { sync_interval: always }`, which a client cannot read: make sure that it does.',
  };
}
