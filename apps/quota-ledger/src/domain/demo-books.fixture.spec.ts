import { DEFAULT_POLICY } from '#accounts';
import {
  DEFAULT_QUOTA_POLICY,
  DEFAULT_SHARE,
  type AccountConfig,
  type AcquireAnswer,
  type AcquireRequest,
  type Granted,
  type LimitConfig,
  type Refused,
} from '#contracts';
import { acquire } from './acquire.js';
import { type AccountBooks, openBooks } from './books.js';
import { LedgerChanges } from './ledger-changes.js';

/** A minute's start, long ago. */
export const MINUTE_START = Date.UTC(2026, 0, 5, 10, 0, 0);

/** An account on the `team` licence (200 a minute, 100 updates) with limits of its own. */
export function demoConfig(
  limits: readonly Partial<LimitConfig>[] = [],
  crm: Partial<AccountConfig['crm']> = {},
): AccountConfig {
  return {
    name: 'demo',
    crm: {
      type: 'zendesk',
      baseUrl: 'http://127.0.0.1:1',
      credential: { kind: 'oauth', tokenRef: 'env:TOKEN' },
      licence: 'team',
      externalIdPrefix: 'ccai-',
      timeScale: 1,
      requestTimeoutMs: 3_000,
      ...crm,
    },
    limits: limits.map((limit) => ({
      name: 'minute',
      max: 1,
      lengthMs: null,
      kind: null,
      anchor: null,
      draws: null,
      ...limit,
    })),
    batching: 'auto',
    quota: { ...DEFAULT_QUOTA_POLICY, liveReservePercent: 0 },
    dryRun: false,
    integrations: {
      ccai: { ingest: null, trusted: true, share: DEFAULT_SHARE, quotaPasswordRef: null },
      reporting: { ingest: null, trusted: false, share: DEFAULT_SHARE, quotaPasswordRef: null },
    },
    policy: DEFAULT_POLICY,
  };
}

/** Fresh books of such an account. */
export function demoBooks(
  limits: readonly Partial<LimitConfig>[] = [],
  crm: Partial<AccountConfig['crm']> = {},
): AccountBooks {
  return openBooks([{ version: 1, appliedAt: 0, config: demoConfig(limits, crm) }]);
}

let requests = 0;

/** Asks for calls with a request id of its own. */
export function ask(
  books: AccountBooks,
  nowMs: number,
  request: Partial<AcquireRequest> = {},
  changes = new LedgerChanges(),
): AcquireAnswer {
  const answer = askFor(books, 'ccai', nowMs, request, changes);
  if (answer === 'waits') throw new Error('it waits');
  return answer;
}

/** The same for any integration; what may wait, may. */
export function askFor(
  books: AccountBooks,
  integration: string,
  nowMs: number,
  request: Partial<AcquireRequest> = {},
  changes = new LedgerChanges(),
): AcquireAnswer | 'waits' {
  requests += 1;
  const whole: AcquireRequest = {
    requestId: `r${requests}`,
    kind: 'other',
    calls: { min: 1, max: 1 },
    priority: 'normal',
    waitMs: 0,
    ...request,
  };
  const id = `g${requests}`;
  return acquire(books, integration, whole, { nowMs, newId: () => id }, changes);
}

export function granted(answer: AcquireAnswer | 'waits'): Granted {
  if (answer === 'waits' || answer.answer !== 'granted') throw new Error(`not granted: ${JSON.stringify(answer)}`);
  return answer;
}

export function refused(answer: AcquireAnswer | 'waits'): Refused {
  if (answer === 'waits' || answer.answer !== 'refused') throw new Error(`not refused: ${JSON.stringify(answer)}`);
  return answer;
}
