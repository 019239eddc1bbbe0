import type { CallKind } from '#contracts';
import type { HoldLimit, Limit, LimitSet } from './limit.js';

const MINUTE_MS = 60_000;
/** The account's counter may lag about a second at the edge, and `Date` (our measure of the clocks' offset) has one-second steps. */
const EDGE_MS = 1_500;

const UPDATES: readonly CallKind[] = ['tickets.update', 'tickets.update_many'];
const JOBS: readonly CallKind[] = ['tickets.create_many', 'tickets.update_many'];

interface Tier {
  readonly perMinute: number;
  readonly highVolume: boolean;
  readonly trial?: boolean;
}

/** Calls a minute by plan; the High Volume add-on replaces the plan's number, it doesn't add to it. */
const TIERS: Readonly<Record<string, Tier>> = {
  essential: { perMinute: 10, highVolume: false },
  team: { perMinute: 200, highVolume: false },
  growth: { perMinute: 400, highVolume: false },
  professional: { perMinute: 400, highVolume: false },
  enterprise: { perMinute: 700, highVolume: false },
  'enterprise-plus': { perMinute: 2_500, highVolume: true },
  'high-volume': { perMinute: 2_500, highVolume: true },
  sandbox: { perMinute: 200, highVolume: false, trial: true },
};

/** The plans the catalogue knows. */
export const ZENDESK_LICENCES: readonly string[] = Object.keys(TIERS);

/**
 * Everything Zendesk limits for a plan (docs/zendesk.md): the account's minute and, stacked below it, the endpoint limits
 * and the jobs in flight. Zendesk publishes no daily limit: a day is an account's own choice.
 */
export function zendeskLimits(licence: string): LimitSet | null {
  const tier = TIERS[licence];
  if (!tier) return null;
  const updatesPerMinute = tier.trial ? 20 : tier.highVolume ? 300 : 100;
  const limits: Limit[] = [
    {
      ...minute('minute', tier.perMinute, 'every', 'account'),
      headers: {
        limit: ['x-rate-limit', 'ratelimit-limit', 'rate-limit'],
        remaining: ['x-rate-limit-remaining', 'ratelimit-remaining', 'rate-limit-remaining'],
        resetSeconds: ['ratelimit-reset', 'rate-limit-reset'],
        combined: [],
      },
    },
    minute('tickets-update', updatesPerMinute, UPDATES),
    minute('tickets-create', 300, ['tickets.create'], 'endpoint', ['ticket-request-create-by-user-and-ip']),
    { ...minute('per-ticket-updates', 30, ['tickets.update'], 'ticket'), lengthMs: 10 * MINUTE_MS },
    minute('create-update-user', 5, ['users.create_or_update'], 'user'),
    { ...minute('create-update-user-second', 1, ['users.create_or_update'], 'endpoint', []), lengthMs: 1_000 },
    minute('incremental-export', tier.highVolume ? 30 : 10, ['tickets.export']),
  ];
  const holds: HoldLimit[] = [{ name: 'inflight-jobs', max: 30, draws: JOBS }];
  return { limits, holds };
}

function minute(
  name: string,
  max: number,
  draws: Limit['draws'],
  scope: Limit['scope'] = 'endpoint',
  headerNames: readonly string[] = [name],
): Limit {
  const combined = headerNames.flatMap((header) => [`zendesk-ratelimit-${header}`, `zendesk-rate-limit-${header}`]);
  const headers = { limit: [], remaining: [], resetSeconds: [], combined };
  return { name, kind: 'fixed', lengthMs: MINUTE_MS, anchor: 'UTC', max, scope, draws, edgeMs: EDGE_MS, headers };
}
