import type { AccountConfig, LimitConfig } from '#contracts';
import type { HoldLimit, Limit, LimitSet } from './limit.js';
import { zendeskLimits } from './zendesk.js';

const NO_HEADERS: Limit['headers'] = { limit: [], remaining: [], resetSeconds: [], combined: [] };
const OWN_EDGE_MS = 1_500;

/**
 * The limits in force for an account: its licence's from the catalogue, changed and added to by its own, all lengths
 * divided by its declared time scale. Throws where the licence is unknown: configuration is validated before it gets here.
 */
export function limitsOf(config: Pick<AccountConfig, 'crm' | 'limits'>): LimitSet {
  const catalogue = zendeskLimits(config.crm.licence);
  if (!catalogue) throw new Error(`licence ${config.crm.licence} is not in the catalogue of limits`);
  const limits = new Map(catalogue.limits.map((limit) => [limit.name, limit]));
  const holds = new Map(catalogue.holds.map((hold) => [hold.name, hold]));
  for (const own of config.limits) {
    const hold = holds.get(own.name);
    if (hold) holds.set(own.name, { ...hold, max: own.max });
    else limits.set(own.name, changed(limits.get(own.name), own));
  }
  return {
    limits: [...limits.values()].map((limit) => scaled(limit, config.crm.timeScale)),
    holds: [...holds.values()] satisfies HoldLimit[],
  };
}

function changed(limit: Limit | undefined, own: LimitConfig): Limit {
  return {
    name: own.name,
    kind: own.kind ?? limit?.kind ?? 'fixed',
    lengthMs: own.lengthMs ?? limit?.lengthMs ?? 86_400_000,
    anchor: own.anchor ?? limit?.anchor ?? 'UTC',
    max: own.max,
    scope: limit?.scope ?? 'account',
    draws: own.draws ?? limit?.draws ?? 'every',
    edgeMs: limit?.edgeMs ?? OWN_EDGE_MS,
    headers: limit?.headers ?? NO_HEADERS,
  };
}

function scaled(limit: Limit, timeScale: number): Limit {
  if (timeScale === 1) return limit;
  // A scaled day has no local midnight: it stands on the epoch like every other scaled window.
  return { ...limit, lengthMs: limit.lengthMs / timeScale, edgeMs: Math.ceil(limit.edgeMs / timeScale), anchor: 'UTC' };
}
