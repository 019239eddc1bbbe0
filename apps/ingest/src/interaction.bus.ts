import type { InteractionEvent } from '#contracts';

/** What became of an event: stored now, or (the same event id within the duplicate window) before. */
export interface Stored {
  readonly duplicate: boolean;
}

/** Where events become durable. */
export interface InteractionBus {
  /**
   * Resolves once all of them are stored for good; one answer each, in the same order.
   *
   * @throws BusUnavailable where that isn't certain of every one
   */
  store(events: readonly InteractionEvent[]): Promise<readonly Stored[]>;
}

/** Events may or may not be stored: send all of them again, with the same ids, after `retryInMs`. */
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
