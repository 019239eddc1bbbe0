import { errors, type NatsConnection } from '@nats-io/transport-node';

/** What came of one request to the ledger. */
export type Heard =
  | { readonly heard: 'answer'; readonly answer: unknown }
  /** Certainly received by nobody. */
  | { readonly heard: 'nobody' }
  /** Perhaps received; no answer came in time. */
  | { readonly heard: 'silence' }
  /** The server doesn't let this user ask that: wrong account or integration, or a wrong inbox prefix. */
  | { readonly heard: 'forbidden'; readonly message: string };

/** How requests reach the ledger. Never rejects. */
export interface QuotaTransport {
  ask(subject: string, body: object, withinMs: number): Promise<Heard>;
}

const encoder = new TextEncoder();

/** Over a connection to NATS, made as the integration's own user and with its inbox prefix (docs/protocol.md). */
export function natsTransport(nc: Pick<NatsConnection, 'request'>): QuotaTransport {
  return {
    ask: async (subject, body, withinMs) => {
      try {
        const message = await nc.request(subject, encoder.encode(JSON.stringify(body)), { timeout: withinMs });
        return { heard: 'answer', answer: message.json() };
      } catch (error) {
        return heardOf(error);
      }
    },
  };
}

function heardOf(error: unknown): Heard {
  if (isNoResponders(error)) return { heard: 'nobody' };
  const told = error instanceof Error && error.cause instanceof errors.PermissionViolationError ? error.cause : error;
  return told instanceof errors.PermissionViolationError
    ? { heard: 'forbidden', message: told.message }
    : { heard: 'silence' };
}

function isNoResponders(error: unknown): boolean {
  return error instanceof errors.NoRespondersError || (error instanceof errors.RequestError && error.isNoResponders());
}
