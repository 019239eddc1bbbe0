import type { Clock, NewId } from '#clock';
import type { AccountName, CallKind } from '#contracts';
import {
  type Acquired,
  type CallWanted,
  listOf,
  type Observed,
  type QuotaClient,
  type Settlement,
} from './quota.client.js';

export interface SimulatedQuotaOptions {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly newId: NewId;
  /** Calls in a window; Infinity = no limit. */
  readonly callsPerWindow?: number;
  readonly windowMs?: number;
  readonly validForMs?: number;
}

/** A ledger in memory, with one fixed window: for running the writer without one, in tests and in virtual time. */
export class SimulatedQuotaClient implements QuotaClient {
  /** Every grant by its id: for which kind, and how it was settled (the last word of it). */
  readonly grants = new Map<string, { readonly kind: CallKind; settled: Settlement['settled'] | null }>();
  /** Of every grant: how many calls it was for, and how many of them were settled how. */
  readonly counts = new Map<string, { readonly calls: number; used: number; returned: number }>();
  readonly observed: Observed[] = [];
  readonly released: string[] = [];
  refusals = 0;
  /** True = doesn't answer, as a ledger that is away. */
  away = false;
  #window = -1;
  /** What requests got that carried an id: the same again. */
  readonly #granted = new Map<string, Acquired>();
  #used = 0;

  constructor(private readonly options: SimulatedQuotaOptions) {}

  acquire(_account: AccountName, { kind, requestId, calls: { min, max } = ONE_CALL }: CallWanted): Promise<Acquired> {
    const { clock, newId, callsPerWindow = Infinity, windowMs = 60_000, validForMs = 10_000 } = this.options;
    if (this.away) return Promise.resolve({ acquired: 'silent', retryInMs: 50 });
    const known = requestId === undefined ? undefined : this.#granted.get(requestId);
    if (known) return Promise.resolve(known);
    const nowMs = clock.monotonicMs();
    const window = Math.floor(nowMs / windowMs);
    if (window !== this.#window) {
      this.#window = window;
      this.#used = 0;
    }
    const resetsInMs = (window + 1) * windowMs - nowMs;
    const calls = Math.min(max, callsPerWindow - this.#used);
    if (calls < min) {
      this.refusals += 1;
      return Promise.resolve({ acquired: 'refused', limit: 'minute', reason: 'full', retryInMs: resetsInMs });
    }
    this.#used += calls;
    const grantId = newId();
    this.grants.set(grantId, { kind, settled: null });
    this.counts.set(grantId, { calls, used: 0, returned: 0 });
    const holdIds = kind.endsWith('_many') ? holdIdsOf(grantId, calls) : [];
    const remaining = Number.isFinite(callsPerWindow)
      ? [{ limit: 'minute', max: callsPerWindow, remaining: callsPerWindow - this.#used, resetsInMs }]
      : [];
    const grant = { grantId, calls, holdIds, remaining, notBeforeMonoMs: nowMs, validUntilMonoMs: nowMs + validForMs };
    const acquired: Acquired = { acquired: 'granted', grant };
    if (requestId !== undefined) this.#granted.set(requestId, acquired);
    return Promise.resolve(acquired);
  }

  settle(_account: AccountName, grantId: string, settled: Settlement | readonly Settlement[]): Promise<boolean> {
    if (this.away) return Promise.resolve(false);
    const grant = this.grants.get(grantId);
    const counts = this.counts.get(grantId);
    for (const one of listOf(settled)) {
      if (!grant || !counts) break;
      grant.settled = one.settled;
      if (one.settled === 'used') counts.used += 1;
      else counts.returned += one.calls ?? 1;
    }
    return Promise.resolve(true);
  }

  observe(_account: AccountName, observed: Observed): Promise<void> {
    this.observed.push(observed);
    return Promise.resolve();
  }

  release(_account: AccountName, holdIds: readonly string[]): Promise<boolean> {
    this.released.push(...holdIds);
    return Promise.resolve(true);
  }
}

const ONE_CALL = { min: 1, max: 1 };

/** The first call's place is named by the grant alone. */
function holdIdsOf(grantId: string, calls: number): string[] {
  return Array.from({ length: calls }, (_, call) => (call === 0 ? `hold-${grantId}` : `hold-${grantId}-${call}`));
}
