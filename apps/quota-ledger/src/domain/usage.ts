import type { IntegrationName } from '#contracts';
import type { CallState, Grant } from './grant.js';

/** Calls of one integration in one minute: how many came to which state, and what the CRM and the limits said of them. */
export interface UsageCounts {
  granted: number;
  used: number;
  returned: number;
  expired: number;
  open: number;
  /** Refused by the CRM with a 429. */
  crmRefused: number;
  /** Granted in shadow mode where they would have been refused. */
  wouldRefuse: number;
}
export const USAGE_FIELDS = ['granted', 'used', 'returned', 'expired', 'open', 'crmRefused', 'wouldRefuse'] as const;

/** Counts of one integration and one minute (its start, epoch ms). */
export interface UsageRowCounts extends UsageCounts {
  readonly integration: IntegrationName;
  readonly startsAt: number;
}

/**
 * An account's calls as they were counted since its usage was last stored. The counts are changes, so they may be negative;
 * a call is in exactly one minute at any time, so that granted = used + returned + expired + open holds for every minute.
 */
export class PendingUsage {
  private readonly counts = new Map<IntegrationName, Map<number, UsageCounts>>();

  /** What is counted of an integration's minute, to be changed. */
  of(integration: IntegrationName, minute: number): UsageCounts {
    let minutes = this.counts.get(integration);
    if (!minutes) this.counts.set(integration, (minutes = new Map()));
    let counts = minutes.get(minute);
    if (!counts) minutes.set(minute, (counts = noCalls()));
    return counts;
  }

  /** A new grant: all its calls are open, in its minute. */
  granted(grant: Grant): void {
    const counts = this.of(grant.integration, grant.minute);
    counts.granted += grant.calls.length;
    counts.open += grant.calls.length;
    if (grant.wouldRefuse) counts.wouldRefuse += grant.calls.length;
  }

  /** An open call came to its last state, and is counted in that minute from now on. */
  closed(grant: Grant, state: Exclude<CallState, 'open'>, minute: number): void {
    const before = this.of(grant.integration, grant.minute);
    before.open -= 1;
    before.granted -= 1;
    const after = this.of(grant.integration, minute);
    after.granted += 1;
    after[state] += 1;
  }

  isEmpty(): boolean {
    return this.counts.size === 0;
  }

  /** All counts, which from now on are somebody else's to store. */
  take(): UsageRowCounts[] {
    const rows = this.rows();
    this.counts.clear();
    return rows;
  }

  rows(): UsageRowCounts[] {
    const rows: UsageRowCounts[] = [];
    for (const [integration, minutes] of this.counts)
      for (const [startsAt, counts] of minutes) rows.push({ integration, startsAt, ...counts });
    return rows;
  }
}

export function noCalls(): UsageCounts {
  return { granted: 0, used: 0, returned: 0, expired: 0, open: 0, crmRefused: 0, wouldRefuse: 0 };
}

/** Adds the counts of rows into buckets: each row's start is first put where its bucket begins. */
export function sumUsage(
  rows: readonly UsageRowCounts[],
  bucketOf: (startsAt: number) => number = (startsAt) => startsAt,
): UsageRowCounts[] {
  const sums = new Map<string, UsageRowCounts>();
  for (const row of rows) {
    const startsAt = bucketOf(row.startsAt);
    const key = `${row.integration} ${startsAt}`;
    let sum = sums.get(key);
    if (!sum) sums.set(key, (sum = { integration: row.integration, startsAt, ...noCalls() }));
    for (const field of USAGE_FIELDS) sum[field] += row[field];
  }
  return [...sums.values()];
}
