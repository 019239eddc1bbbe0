import type { Clock } from '#clock';
import type { WrittenAccount } from '#contracts';
import type { Log } from '#telemetry';
import { contactKeysOf, standingOf } from './domain/contact.js';
import { RehearsedContacts, rehearseCalls } from './domain/rehearse-calls.js';
import type { Rehearsals } from './rehearsals.js';

/** Interactions planned together: more than two full jobs. */
const MAX_INTERACTIONS = 250;
/** Another replica may have taken commands in. */
const IDLE_MS = 1_000;
/** While there is no dry run, only what one has left is looked for. */
const AFTERWARDS_MS = 60_000;

export interface RehearserOptions {
  readonly config: WrittenAccount;
  readonly store: Rehearsals;
  readonly clock: Clock;
  readonly log: Log;
  /** Aborted when this process no longer owns the account. */
  readonly ended: AbortSignal;
}

/**
 * Plans the calls of commands that were made in a dry run, counts them, and makes none: it has no door to the CRM, nor to the
 * ledger. Runs on when the dry run is over, for what was still on its way.
 */
export class Rehearser {
  readonly #contacts = new RehearsedContacts();
  #wake = new AbortController();
  #woken = false;

  constructor(private readonly options: RehearserOptions) {}

  /** Commands came in: look now. */
  wake(): void {
    if (!this.options.config.dryRun) return;
    this.#woken = true;
    this.#wake.abort();
  }

  /** Runs until `ended`. Never rejects. */
  async run(): Promise<void> {
    const { clock, ended, log, config } = this.options;
    ended.addEventListener('abort', () => this.#wake.abort(), { once: true });
    while (!ended.aborted) {
      this.#woken = false;
      this.#wake = new AbortController();
      const more = await this.rehearse().catch((error: unknown) => {
        log.warn('a dry run could not go on now', { account: config.name, error });
        return false;
      });
      if (more || this.#woken || ended.aborted) continue;
      await clock.sleep(config.dryRun ? IDLE_MS : AFTERWARDS_MS, this.#wake.signal).catch(() => undefined);
    }
  }

  /** Plans and counts what there is, up to a bound; false = there was nothing. */
  async rehearse(): Promise<boolean> {
    const { config, store } = this.options;
    const { interactions, contacts } = await store.toRehearse(config.name, MAX_INTERACTIONS);
    if (interactions.length === 0) return false;
    const rehearsal = rehearseCalls(interactions, {
      batching: config.batching,
      externalIdPrefix: config.crm.externalIdPrefix,
      timeScale: config.crm.timeScale,
      contactOf: (contact) =>
        standingOf(
          contact,
          contactKeysOf(contact).map((key) => contacts.get(key) ?? null),
        ),
      contacts: this.#contacts,
    });
    if (rehearsal.commands.length === 0) return false;
    await store.rehearsed(config.name, rehearsal);
    return true;
  }
}
