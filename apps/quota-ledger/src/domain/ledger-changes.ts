import type { AccountName, IntegrationName, LedgerEventName } from '#contracts';

/** What happened to one integration within one commit. */
export interface LedgerEvent {
  readonly account: AccountName;
  readonly integration: IntegrationName;
  readonly event: LedgerEventName;
  readonly entries: object[];
}

/** As which foreign calls are counted. No integration can be called so. */
export const FOREIGN = '(foreign)';
/** As which what concerns a whole account is told: its configuration. No integration can be called so. */
export const WHOLE_ACCOUNT = '(account)';

/**
 * Everything that one turn of decisions changes, as the journal keeps it: from these events alone the books and the counted
 * usage can be built again (`replay.ts`).
 */
export class LedgerChanges {
  readonly events: LedgerEvent[] = [];
  private readonly newest = new Map<string, LedgerEvent>();

  isEmpty(): boolean {
    return this.events.length === 0;
  }

  /** Adds an entry to the event of its kind and integration. */
  event(account: AccountName, integration: IntegrationName, event: LedgerEventName, entry: object): void {
    const key = `${account} ${integration} ${event}`;
    let told = this.newest.get(key);
    if (!told) {
      told = { account, integration, event, entries: [] };
      this.newest.set(key, told);
      this.events.push(told);
    }
    told.entries.push(entry);
  }
}
