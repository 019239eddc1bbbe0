import type { Tx } from '#postgres';
import { runsOf } from '../domain/call-runs.js';
import { countsOf } from '../domain/grant.js';
import type { GrantOf } from '../domain/ledger-changes.js';

/** Records new grants. */
export async function insertGrants(tx: Tx, made: readonly GrantOf[]): Promise<void> {
  const counts = made.map(({ grant }) => countsOf(grant));
  await tx.query(
    `INSERT INTO call_grant (account, id, integration, request_id, kind, priority, granted_at_ms, not_before_ms,
       valid_until_ms, arrives_by_ms, settle_by_ms, minute_ms, day_ms, calls, used, returned, expired, open, keys, runs)
     SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[],
       $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::integer[],
       $15::integer[], $16::integer[], $17::integer[], $18::integer[], $19::json[], $20::json[])`,
    [
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
    ],
  );
}

function keysOf(calls: GrantOf['grant']['calls']): string | null {
  return calls.some(({ key }) => key !== null) ? JSON.stringify(calls.map(({ key }) => key)) : null;
}
