import { NatsDoors, type NatsDoorsOptions } from '#jetstream';
import type { Doors, LedgerOwner } from './ledger.owner.js';
import { LEDGER_SUBJECTS } from './quota.doors.js';

/** The ledger's doors: open only while this process is the owner, so that a standby's queue member swallows nothing. */
export class LedgerDoors extends NatsDoors {
  readonly #options: NatsDoorsOptions;
  readonly #owner: LedgerOwner;

  constructor(options: Omit<NatsDoorsOptions, 'opens' | 'queue'>, owner: LedgerOwner) {
    const all: NatsDoorsOptions = { ...options, opens: 'byHand', queue: 'quota-ledger' };
    super(all);
    this.#options = all;
    this.#owner = owner;
  }

  /** Called by Nest once all handlers are known. Calls back once what is open has reached the server. */
  override listen(callback: (error?: Error) => void): void {
    const doors: Doors = {
      open: () => LEDGER_SUBJECTS.forEach((subject) => this.open(subject)),
      close: () => this.close(),
    };
    super.listen((error) => {
      if (!error) this.#owner.useDoors(doors);
      void this.#flushed().finally(() => callback(error));
    });
  }

  /** Where the server is away the doors reach it when it is back. */
  async #flushed(): Promise<void> {
    await this.#options.nc.flush().catch(() => undefined);
  }
}
