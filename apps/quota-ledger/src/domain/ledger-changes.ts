import type { AccountName, IntegrationName, LedgerEventName } from '#contracts';

/** What happened to one integration within one commit. */
export interface LedgerEvent {
  readonly account: AccountName;
  readonly integration: IntegrationName;
  readonly event: LedgerEventName;
  readonly entries: object[];
  /**
   * Each entry's place among all of the commit, where an account's entries did not happen event after event. What a settle
   * frees and what is granted then don't come to the same the other way round.
   */
  order?: readonly number[];
}

/** The events as they happened: where entries of several are mixed, one for each entry. */
export function inOrder(events: readonly LedgerEvent[]): readonly LedgerEvent[] {
  if (!events.some(({ order }) => order)) return events;
  return events
    .flatMap(({ entries, order, ...event }) =>
      entries.map((entry, index) => ({ event: { ...event, entries: [entry] }, at: order?.[index] ?? 0 })),
    )
    .toSorted((one, other) => one.at - other.at)
    .map(({ event }) => event);
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
  private readonly newest = new Map<string, { readonly event: LedgerEvent; readonly order: number[] }>();
  private readonly lastOf = new Map<AccountName, LedgerEvent>();
  private readonly mixed = new Set<AccountName>();
  private entries = 0;

  isEmpty(): boolean {
    return this.events.length === 0;
  }

  /** Adds an entry to the event of its kind and integration. */
  event(account: AccountName, integration: IntegrationName, event: LedgerEventName, entry: object): void {
    const key = `${account} ${integration} ${event}`;
    let told = this.newest.get(key);
    if (!told) {
      told = { event: { account, integration, event, entries: [] }, order: [] };
      this.newest.set(key, told);
      this.events.push(told.event);
      if (this.mixed.has(account)) told.event.order = told.order;
      this.lastOf.set(account, told.event);
    } else if (this.lastOf.get(account) !== told.event && !this.mixed.has(account)) this.tellOrder(account);
    told.event.entries.push(entry);
    told.order.push(this.entries);
    this.entries += 1;
  }

  private tellOrder(account: AccountName): void {
    this.mixed.add(account);
    for (const { event, order } of this.newest.values()) if (event.account === account) event.order = order;
  }
}
