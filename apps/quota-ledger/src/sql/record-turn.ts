import type { Ownership, Prepared } from '#postgres';
import { runsOf } from '../domain/call-runs.js';
import { countsOf } from '../domain/grant.js';
import type { GrantOf, LedgerChanges, UsageChange } from '../domain/ledger-changes.js';

/*
 * Everything that a turn changes, in one statement: one round trip and, by itself, one transaction. A dozen statements
 * would cost a dozen waits for the scheduler while all askers wait.
 */

/** Usage is changed where its row is there and made where it isn't. Not ON CONFLICT: a change alone may be negative, which the table's checks refuse. */
function usage(table: 'usage_minute' | 'usage_day', first: number): string {
  const columns = 'account, starts_at_ms, integration, granted, used, returned, expired, open';
  const types = ['text', 'bigint', 'text', 'bigint', 'bigint', 'bigint', 'bigint', 'bigint'];
  return `${table}_change AS (
    SELECT c.* FROM owner, unnest(${types.map((type, index) => `$${first + index}::${type}[]`).join(', ')}) AS c (${columns})
  ), ${table}_updated AS (
    UPDATE ${table} u SET granted = u.granted + c.granted, used = u.used + c.used, returned = u.returned + c.returned,
      expired = u.expired + c.expired, open = u.open + c.open
    FROM ${table}_change c
    WHERE u.account = c.account AND u.starts_at_ms = c.starts_at_ms AND u.integration = c.integration
    RETURNING u.account, u.starts_at_ms, u.integration
  ), ${table}_inserted AS (
    INSERT INTO ${table} (${columns})
    SELECT ${columns} FROM ${table}_change
    WHERE (account, starts_at_ms, integration) NOT IN (SELECT account, starts_at_ms, integration FROM ${table}_updated)
  )`;
}

const RECORD: Prepared = {
  name: 'record-turn',
  text: `WITH owner AS (
    SELECT epoch FROM ownership WHERE partition = $1 AND epoch = $2
  ), granted AS (
    INSERT INTO call_grant (account, id, integration, request_id, kind, priority, granted_at_ms, not_before_ms,
      valid_until_ms, arrives_by_ms, settle_by_ms, minute_ms, day_ms, calls, used, returned, expired, open, keys, runs, settles)
    SELECT g.* FROM owner, unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bigint[],
      $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[], $16::integer[],
      $17::integer[], $18::integer[], $19::integer[], $20::integer[], $21::json[], $22::json[], $23::json[]) g
  ), changed AS (
    UPDATE call_grant g
    SET used = c.used, returned = c.returned, expired = c.expired, open = c.open, runs = c.runs, settles = c.settles
    FROM owner, unnest($24::text[], $25::integer[], $26::integer[], $27::integer[], $28::integer[], $29::json[], $30::json[])
      AS c (id, used, returned, expired, open, runs, settles)
    WHERE g.id = c.id
  ), ${usage('usage_minute', 31)}, ${usage('usage_day', 39)}, taken AS (
    INSERT INTO hold (account, id, limit_name, integration, grant_id, taken_at_ms)
    SELECT h.* FROM owner, unnest($47::text[], $48::text[], $49::text[], $50::text[], $51::text[], $52::bigint[]) h
  ), released AS (
    DELETE FROM hold h USING owner, unnest($53::text[], $54::text[]) AS r (account, id)
    WHERE h.account = r.account AND h.id = r.id
  ), closed AS (
    INSERT INTO limit_closing (account, limit_name, key, until_ms)
    SELECT c.account, c.limit_name, c.key, max(c.until_ms)
    FROM owner, unnest($55::text[], $56::text[], $57::text[], $58::bigint[]) AS c (account, limit_name, key, until_ms)
    GROUP BY 1, 2, 3
    ON CONFLICT (account, limit_name, key)
    DO UPDATE SET until_ms = greatest(limit_closing.until_ms, excluded.until_ms)
  ), foreigners AS (
    INSERT INTO foreign_calls (account, limit_name, at_ms, calls)
    SELECT f.account, f.limit_name, f.at_ms, sum(f.calls)
    FROM owner, unnest($59::text[], $60::text[], $61::bigint[], $62::integer[]) AS f (account, limit_name, at_ms, calls)
    GROUP BY 1, 2, 3
    ON CONFLICT (account, limit_name, at_ms) DO UPDATE SET calls = foreign_calls.calls + excluded.calls
  ), told AS (
    INSERT INTO ledger_event (account, integration, event, at_ms, entries)
    SELECT e.account, e.integration, e.event, $63, e.entries
    FROM owner, unnest($64::text[], $65::text[], $66::text[], $67::json[]) AS e (account, integration, event, entries)
  )
  SELECT epoch FROM owner`,
};

/** Records a turn's changes, unless another owner's epoch has begun: then nothing is recorded and the answer is false. */
export async function recordTurn(
  runs: Pick<Ownership, 'statement'>,
  owner: { readonly partition: number; readonly epoch: number },
  changes: LedgerChanges,
  nowMs: number,
): Promise<boolean> {
  const { holdsTaken, holdsReleased, closings, foreign, events } = changes;
  const rows = await runs.statement(RECORD, [
    owner.partition,
    owner.epoch,
    ...grantsMade([...changes.grantsMade.values()]),
    ...grantsChanged([...changes.grantsChanged.values()]),
    ...usageChanges([...changes.minutes.values()]),
    ...usageChanges([...changes.days.values()]),
    holdsTaken.map(({ account }) => account),
    holdsTaken.map(({ id }) => id),
    holdsTaken.map(({ limit }) => limit),
    holdsTaken.map(({ integration }) => integration),
    holdsTaken.map(({ grantId }) => grantId),
    holdsTaken.map(({ takenAt }) => takenAt),
    holdsReleased.map(({ account }) => account),
    holdsReleased.map(({ holdId }) => holdId),
    closings.map(({ account }) => account),
    closings.map(({ limit }) => limit),
    closings.map(({ key }) => key),
    closings.map(({ until }) => until),
    foreign.map(({ account }) => account),
    foreign.map(({ limit }) => limit),
    foreign.map(({ at }) => at),
    foreign.map(({ calls }) => calls),
    nowMs,
    events.map(({ account }) => account),
    events.map(({ integration }) => integration),
    events.map(({ event }) => event),
    events.map(({ entries }) => JSON.stringify(entries)),
  ]);
  return rows.length === 1;
}

function grantsMade(made: readonly GrantOf[]): unknown[][] {
  const counts = made.map(({ grant }) => countsOf(grant));
  return [
    made.map(({ account }) => account),
    made.map(({ grant }) => grant.id),
    made.map(({ grant }) => grant.integration),
    made.map(({ grant }) => grant.requestId),
    made.map(({ grant }) => grant.kind),
    made.map(({ grant }) => grant.priority),
    made.map(({ grant }) => grant.grantedAt),
    made.map(({ grant }) => grant.notBefore),
    made.map(({ grant }) => grant.validUntil),
    made.map(({ grant }) => grant.arrivesBy),
    made.map(({ grant }) => grant.settleBy),
    made.map(({ grant }) => grant.minute),
    made.map(({ grant }) => grant.day),
    made.map(({ grant }) => grant.calls.length),
    counts.map(({ used }) => used),
    counts.map(({ returned }) => returned),
    counts.map(({ expired }) => expired),
    counts.map(({ open }) => open),
    made.map(({ grant }) => keysOf(grant.calls)),
    made.map(({ grant }) => JSON.stringify(runsOf(grant.calls))),
    made.map(({ grant }) => settlesOf(grant)),
  ];
}

function grantsChanged(changed: readonly GrantOf[]): unknown[][] {
  const counts = changed.map(({ grant }) => countsOf(grant));
  return [
    changed.map(({ grant }) => grant.id),
    counts.map(({ used }) => used),
    counts.map(({ returned }) => returned),
    counts.map(({ expired }) => expired),
    counts.map(({ open }) => open),
    changed.map(({ grant }) => JSON.stringify(runsOf(grant.calls))),
    changed.map(({ grant }) => settlesOf(grant)),
  ];
}

function usageChanges(changes: readonly UsageChange[]): unknown[][] {
  return [
    changes.map(({ account }) => account),
    changes.map(({ startsAt }) => startsAt),
    changes.map(({ integration }) => integration),
    changes.map(({ granted }) => granted),
    changes.map(({ used }) => used),
    changes.map(({ returned }) => returned),
    changes.map(({ expired }) => expired),
    changes.map(({ open }) => open),
  ];
}

function keysOf(calls: GrantOf['grant']['calls']): string | null {
  return calls.some(({ key }) => key !== null) ? JSON.stringify(calls.map(({ key }) => key)) : null;
}

function settlesOf({ settles }: GrantOf['grant']): string | null {
  return settles.length === 0 ? null : JSON.stringify(settles);
}
