import type { CallKey, CallKind, Priority, Settled } from '#contracts';
import { type CallRun, callsOf } from '../domain/call-runs.js';
import type { Grant } from '../domain/grant.js';

/** A grant as its table holds it. */
export interface GrantRow {
  readonly account: string;
  readonly id: string;
  readonly integration: string;
  readonly request_id: string;
  readonly kind: CallKind;
  readonly priority: Priority;
  readonly granted_at_ms: number;
  readonly not_before_ms: number;
  readonly valid_until_ms: number;
  readonly arrives_by_ms: number;
  readonly settle_by_ms: number;
  readonly minute_ms: number;
  readonly day_ms: number;
  readonly keys: readonly (CallKey | null)[] | null;
  readonly runs: readonly CallRun[];
  readonly settles: { readonly requestId: string; readonly answer: Settled }[] | null;
}

/** The columns that `grantOf` wants, of the table under the name given. */
export function grantColumns(table: string): string {
  const columns = [
    'account, id, integration, request_id, kind, priority, granted_at_ms, not_before_ms, valid_until_ms',
    'arrives_by_ms, settle_by_ms, minute_ms, day_ms, keys, runs, settles',
  ];
  return columns
    .join(', ')
    .split(', ')
    .map((column) => `${table}.${column}`)
    .join(', ');
}

/** The grant in a row. */
export function grantOf(row: GrantRow): Grant {
  return {
    id: row.id,
    integration: row.integration,
    requestId: row.request_id,
    kind: row.kind,
    priority: row.priority,
    grantedAt: row.granted_at_ms,
    notBefore: row.not_before_ms,
    validUntil: row.valid_until_ms,
    arrivesBy: row.arrives_by_ms,
    settleBy: row.settle_by_ms,
    minute: row.minute_ms,
    day: row.day_ms,
    calls: callsOf(row.runs, row.keys),
    settles: row.settles ?? [],
  };
}
