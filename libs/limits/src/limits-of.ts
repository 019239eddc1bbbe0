import type { AccountConfig, LimitConfig } from '#contracts';
import type { CatalogueLimit } from './catalogue-limit.js';
import { catalogueOf } from './catalogue.js';
import { EDGE_MS, type Limit, type LimitSet, NO_HEADERS } from './limit.js';

/**
 * The limits in force for an account: its licence's from the catalogue, changed and added to by its own, all lengths
 * divided by its declared time scale. Throws where the licence is unknown or its limits need a number that the account
 * doesn't say: configuration is validated before it gets here.
 */
export function limitsOf(config: Pick<AccountConfig, 'crm' | 'limits'>): LimitSet {
  const { crm } = config;
  const catalogue = catalogueOf(crm.type, crm.licence, crm.type === 'zendesk' ? {} : crm);
  if (!catalogue) throw new Error(`licence ${crm.licence} of ${crm.type} is not in the catalogue of limits`);
  const limits = new Map(catalogue.limits.map((limit) => [limit.name, limit]));
  const holds = new Map(catalogue.holds.map((hold) => [hold.name, hold]));
  for (const own of config.limits) {
    const hold = holds.get(own.name);
    if (hold) holds.set(own.name, { ...hold, max: own.max });
    else limits.set(own.name, changed(limits.get(own.name), own));
  }
  return {
    limits: [...limits.values()].map((limit) => scaled(known(limit), crm.timeScale)),
    holds: [...holds.values()],
  };
}

function known(limit: CatalogueLimit): Limit {
  const { max } = limit;
  if (max === null) throw new Error(`limit ${limit.name} has no number: the account has to say it`);
  return { ...limit, max };
}

function changed(limit: CatalogueLimit | undefined, own: LimitConfig): CatalogueLimit {
  return {
    name: own.name,
    kind: own.kind ?? limit?.kind ?? 'fixed',
    lengthMs: own.lengthMs ?? limit?.lengthMs ?? 86_400_000,
    anchor: own.anchor ?? limit?.anchor ?? 'UTC',
    max: own.max,
    scope: limit?.scope ?? 'account',
    draws: own.draws ?? limit?.draws ?? 'every',
    edgeMs: limit?.edgeMs ?? EDGE_MS,
    headers: limit?.headers ?? NO_HEADERS,
  };
}

function scaled(limit: Limit, timeScale: number): Limit {
  if (timeScale === 1) return limit;
  // A scaled day has no local midnight: it stands on the epoch like every other scaled window.
  return { ...limit, lengthMs: limit.lengthMs / timeScale, edgeMs: Math.ceil(limit.edgeMs / timeScale), anchor: 'UTC' };
}
