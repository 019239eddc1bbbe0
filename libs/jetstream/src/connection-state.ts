import type { NatsConnection } from '@nats-io/transport-node';

/** Whether a connection is up, and who wants to know when that changes. One per connection. */
export interface ConnectionState {
  readonly connected: boolean;
  /** Calls back whenever the connection is lost; returns how to stop that. */
  onDisconnect(listener: () => void): () => void;
  onReconnect(listener: () => void): () => void;
  /** What the server refuses outside any request: publishing or listening without permission, above all. */
  onError(listener: (error: Error) => void): () => void;
}

class WatchedState implements ConnectionState {
  connected = true;
  readonly #lost = new Set<() => void>();
  readonly #back = new Set<() => void>();
  readonly #refused = new Set<(error: Error) => void>();

  constructor(nc: NatsConnection) {
    void this.#watch(nc);
    void nc.closed().then(() => this.#set(false));
  }

  onDisconnect(listener: () => void): () => void {
    this.#lost.add(listener);
    return () => this.#lost.delete(listener);
  }

  onReconnect(listener: () => void): () => void {
    this.#back.add(listener);
    return () => this.#back.delete(listener);
  }

  onError(listener: (error: Error) => void): () => void {
    this.#refused.add(listener);
    return () => this.#refused.delete(listener);
  }

  async #watch(nc: NatsConnection): Promise<void> {
    for await (const status of nc.status()) {
      if (status.type === 'disconnect') this.#set(false);
      else if (status.type === 'reconnect') this.#set(true);
      else if (status.type === 'error') for (const listener of this.#refused) listener(status.error);
    }
  }

  #set(connected: boolean): void {
    if (this.connected === connected) return;
    this.connected = connected;
    for (const listener of connected ? this.#back : this.#lost) listener();
  }
}

const states = new WeakMap<NatsConnection, ConnectionState>();

/** The state of a connection, watched from the first time it is asked for. */
export function connectionState(nc: NatsConnection): ConnectionState {
  let state = states.get(nc);
  if (!state) {
    state = new WatchedState(nc);
    states.set(nc, state);
  }
  return state;
}
