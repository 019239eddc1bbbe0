import { acquireOwnership, type Tx } from '#postgres';
import type { Log } from '#telemetry';
import type { LedgerStore, LedgerStores } from './ledger.store.js';
import { PostgresLedgerStore } from './postgres.ledger-store.js';

/** The ledger's schema. */
export const LEDGER_SCHEMA = 'quota_ledger';
/** The one partition that there is: all accounts. */
export const ONLY_PARTITION = 0;

export interface PostgresStoresOptions {
  readonly url: string;
  readonly reader: Pick<Tx, 'query'>;
  readonly log: Log;
}

/** Ownership by an advisory lock in Postgres. */
export class PostgresLedgerStores implements LedgerStores {
  constructor(private readonly options: PostgresStoresOptions) {}

  async own(signal: AbortSignal, onStandby: () => void): Promise<LedgerStore> {
    const { url, reader, log } = this.options;
    const ownership = await acquireOwnership({
      url,
      key: `quota-ledger ${ONLY_PARTITION}`,
      schema: LEDGER_SCHEMA,
      applicationName: 'quota-ledger owner',
      signal,
      onStandby,
      log,
    });
    try {
      return await PostgresLedgerStore.begin(ownership, ONLY_PARTITION, reader);
    } catch (error) {
      await ownership.release();
      throw error;
    }
  }
}
