import type { CallKind } from '#contracts';
import type { CatalogueLimit, CrmCatalogue } from './catalogue-limit.js';
import { EDGE_MS, type HeaderNames, type HoldLimit, NO_HEADERS } from './limit.js';

const MINUTE_MS = 60_000;

const UPDATES: readonly CallKind[] = ['tickets.update', 'tickets.update_many'];
const JOBS: readonly CallKind[] = ['tickets.create_many', 'tickets.update_many'];
const USERS: readonly CallKind[] = ['users.create_or_update', 'users.update'];
const MOST_JOBS = 30;
const CEILING_PER_MINUTE = 100_000;

interface Tier {
  readonly perMinute: number;
  readonly highVolume?: boolean;
  readonly trial?: boolean;
}

/**
 * Calls a minute by plan; the High Volume add-on replaces the plan's number, it doesn't add to it. What a sandbox or a
 * trial has isn't documented: the least of the plans sold is taken, and what its headers tell.
 */
const TIERS: Readonly<Record<string, Tier>> = {
  essential: { perMinute: 10 },
  team: { perMinute: 200 },
  growth: { perMinute: 400 },
  professional: { perMinute: 400 },
  enterprise: { perMinute: 700 },
  'enterprise-plus': { perMinute: 2_500, highVolume: true },
  'high-volume': { perMinute: 2_500, highVolume: true },
  sandbox: { perMinute: 200, trial: true },
  'sandbox-high-volume': { perMinute: 2_500, trial: true, highVolume: true },
  trial: { perMinute: 200, trial: true },
  'trial-high-volume': { perMinute: 2_500, trial: true, highVolume: true },
};

/**
 * Everything Zendesk limits for a plan (docs/zendesk.md): the account's minute and, stacked below it, the endpoint limits
 * and the jobs in flight. Zendesk publishes no daily limit: a day is an account's own choice.
 */
export const ZENDESK: CrmCatalogue = {
  licences: Object.keys(TIERS),
  termsOf: () => [],
  limitsOf(licence) {
    const tier = Object.hasOwn(TIERS, licence) ? TIERS[licence] : undefined;
    return tier ? { limits: [account(tier), ...endpoints(tier)], holds: HOLDS } : null;
  },
};

const HOLDS: readonly HoldLimit[] = [{ name: 'inflight-jobs', max: MOST_JOBS, draws: JOBS }];

/** Observed: a fixed minute of the UTC wall clock. Its headers come in an old and a newer spelling. */
function account({ perMinute }: Tier): CatalogueLimit {
  return {
    ...minute({ name: 'minute', max: perMinute, draws: 'every' }),
    scope: 'account',
    headers: {
      ...NO_HEADERS,
      limit: ['x-rate-limit', 'ratelimit-limit', 'rate-limit'],
      remaining: ['x-rate-limit-remaining', 'ratelimit-remaining', 'rate-limit-remaining'],
      resetSeconds: ['ratelimit-reset', 'rate-limit-reset'],
    },
  };
}

/**
 * Documented, but for the creations (observed) and how updates of one ticket are anchored (observed once). That minutes of
 * endpoints stand on the wall clock as the account's does is a guess that `resets` has not contradicted. What one
 * `update_many` draws is open: one call is charged. Header names are observed, but for those marked.
 */
function endpoints(tier: Tier): CatalogueLimit[] {
  return [
    minute({ name: 'tickets-update', max: updatesPerMinute(tier), draws: UPDATES, toldBy: ['tickets-update'] }),
    minute({
      name: 'tickets-create',
      max: 300,
      draws: ['tickets.create'],
      toldBy: ['ticket-request-create-by-user-and-ip'],
    }),
    {
      ...minute({ name: 'per-ticket-updates', max: 30, draws: ['tickets.update'], toldBy: ['per-ticket-updates'] }),
      lengthMs: 10 * MINUTE_MS,
      scope: 'ticket',
    },
    {
      ...minute({ name: 'create-update-user', max: 5, draws: USERS, toldBy: ['create-update-user'] }),
      scope: 'user',
    },
    { ...minute({ name: 'create-update-user-second', max: 1, draws: USERS }), lengthMs: 1_000 },
    // Guessed: that `tickets-index` tells the limit of deep pages, and the names of the next four.
    minute({ name: 'tickets-list-deep', max: 50, draws: ['tickets.list_deep'], toldBy: ['tickets-index'] }),
    minute({
      name: 'incremental-export',
      max: tier.highVolume ? 30 : 10,
      draws: ['tickets.export'],
      toldBy: ['incremental-export'],
    }),
    minute({ name: 'search-export', max: 100, draws: ['search.export'], toldBy: ['search-export', 'search-index'] }),
    minute({ name: 'tickets-delete', max: 400, draws: ['tickets.delete'], toldBy: ['tickets-delete'] }),
    {
      ...minute({
        name: 'organizations-update',
        max: 5,
        draws: ['organizations.update'],
        toldBy: ['organizations-update'],
      }),
      scope: 'organization',
    },
    // Against spikes, whatever the plan: not the account's to share out, so it isn't counted as the account's own.
    minute({ name: 'ceiling', max: CEILING_PER_MINUTE, draws: 'every' }),
  ];
}

function updatesPerMinute({ trial, highVolume }: Tier): number {
  if (trial) return highVolume ? 100 : 20;
  return highVolume ? 300 : 100;
}

interface Minute extends Pick<CatalogueLimit, 'name' | 'max' | 'draws'> {
  readonly toldBy?: readonly string[];
}

function minute({ toldBy = [], ...limit }: Minute): CatalogueLimit {
  const combined = toldBy.flatMap((name) => [`zendesk-ratelimit-${name}`, `zendesk-rate-limit-${name}`]);
  const headers: HeaderNames = { ...NO_HEADERS, combined };
  return { ...limit, kind: 'fixed', lengthMs: MINUTE_MS, anchor: 'UTC', scope: 'endpoint', edgeMs: EDGE_MS, headers };
}
