import type { InteractionEvent } from '#contracts';

/** Where events become durable. One call an event, any number at once. */
export interface InteractionBus {
  /** Resolves once the event is stored for good. The same event id again within the duplicate window is a duplicate. */
  store(event: InteractionEvent): Promise<{ readonly duplicate: boolean }>;
}

/** The event may or may not be stored: send it again, with the same id, after `retryInMs`. */
export class BusUnavailable extends Error {
  constructor(
    readonly code: 'stream_unavailable' | 'stream_full',
    readonly retryInMs: number,
    options: { readonly cause: unknown },
  ) {
    super(code === 'stream_full' ? 'the stream of events is full' : 'the stream of events cannot be reached', options);
    this.name = 'BusUnavailable';
  }
}
