import { settledWithin, systemClock } from '#clock';
import { type AccountName, subjects } from '#contracts';
import { NatsDoors, type NatsDoorsOptions } from '#jetstream';
import type { Doors, LedgerOwner } from './ledger.owner.js';
import { QuotaDoors, type QuotaDoorsParts } from './quota.doors.js';

const ANSWER_LIMIT_MS = 2_000;

/** The ledger's doors: each open only while this process is the one to answer. */
export class LedgerDoors extends NatsDoors implements Doors {
  readonly #nc: NatsDoorsOptions['nc'];
  readonly #owner: LedgerOwner;
  readonly #quota: QuotaDoors;

  constructor(options: Omit<NatsDoorsOptions, 'opens' | 'queue'>, parts: QuotaDoorsParts) {
    super({ ...options, opens: 'byHand', queue: 'quota-ledger' });
    this.#nc = options.nc;
    this.#owner = parts.owner;
    this.#quota = new QuotaDoors(parts, options);
  }

  /** Called by Nest once all handlers are known. Calls back once what is open has reached the server. */
  override listen(callback: (error?: Error) => void): void {
    super.listen((error) => {
      if (error) callback(error);
      else
        void this.#owner
          .useDoors(this)
          .then(() => this.#flushed())
          .finally(() => callback());
    });
  }

  /** Opens and closes at once; resolves when what arrived at closed doors before has been handed on. */
  async hear(accounts: readonly AccountName[], steward: boolean): Promise<void> {
    if (steward) this.open(subjects.applyAccounts);
    const closing = steward ? undefined : super.close(subjects.applyAccounts);
    await Promise.all([this.#quota.hear(accounts), closing]);
  }

  /** Whether the server answers. A connection that is silently dead tells so by nothing else for half a minute. */
  async reachable(): Promise<boolean> {
    const answered = this.#nc.flush().then(
      () => true,
      () => false,
    );
    return (await settledWithin(answered, ANSWER_LIMIT_MS, systemClock)) && answered;
  }

  override async close(subject?: string): Promise<void> {
    if (subject === undefined) await this.#quota.close();
    await super.close(subject);
  }

  /** Where the server is away the doors reach it when it is back. */
  async #flushed(): Promise<void> {
    await this.#nc.flush().catch(() => undefined);
  }
}
