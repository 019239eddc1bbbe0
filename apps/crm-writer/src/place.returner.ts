import type { Clock } from '#clock';
import type { AccountName } from '#contracts';
import type { Log } from '#telemetry';
import type { QuotaClient } from './quota.client.js';
import type { WriteStore } from './write.store.js';

/** How often it is looked for requests that nobody claimed. */
const EVERY_MS = 15_000;
/** A request this old is no longer being waited for; far within the time for which the ledger remembers it. */
const LEFT_AFTER_MS = 60_000;
const MAX_PLACES_PER_LOOK = 20;

export interface PlaceReturnerOptions {
  readonly account: AccountName;
  readonly store: WriteStore;
  readonly quota: QuotaClient;
  readonly clock: Clock;
  readonly log: Log;
  /** Aborted when this process no longer owns the account. */
  readonly ended: AbortSignal;
}

/**
 * Gives places of bulk jobs back that were granted, but never used: their writer died between the grant and the claim, or the
 * ledger's answer got lost. Asks under the same request ids, which tells what was granted.
 */
export class PlaceReturner {
  constructor(private readonly options: PlaceReturnerOptions) {}

  /** Runs until `ended`. Never rejects. */
  async run(): Promise<void> {
    const { clock, ended, log, account } = this.options;
    while (!ended.aborted) {
      try {
        const returned = await this.returnLeft(LEFT_AFTER_MS);
        if (returned > 0) log.info('places that nobody claimed were given back', { account, requests: returned });
      } catch (error) {
        log.warn('places that nobody claimed could not be given back now', { account, error });
      }
      await clock.sleep(EVERY_MS, ended).catch(() => undefined);
    }
  }

  /** Gives back what requests noted longer ago than that were granted; how many of them are dealt with. */
  async returnLeft(olderThanMs: number): Promise<number> {
    const { store, account, ended } = this.options;
    let returned = 0;
    for (const place of await store.takePlacesLeft(account, olderThanMs, MAX_PLACES_PER_LOOK)) {
      if (ended.aborted) break;
      const { requestId, kind, priority } = place;
      if (!(await this.#giveBack({ requestId, kind, priority, keys: [] }))) continue;
      await store.forgetPlace(requestId);
      returned += 1;
    }
    return returned;
  }

  async #giveBack(wanted: Parameters<QuotaClient['acquire']>[1]): Promise<boolean> {
    const { account, quota } = this.options;
    const acquired = await quota.acquire(account, wanted);
    if (acquired.acquired !== 'granted') return acquired.acquired !== 'silent';
    const { grantId, holdIds } = acquired.grant;
    const settled = await quota.settle(account, grantId, { settled: 'returned' });
    return (holdIds.length === 0 || (await quota.release(account, holdIds))) && settled;
  }
}
