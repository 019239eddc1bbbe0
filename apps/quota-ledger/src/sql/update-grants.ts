import type { Tx } from '#postgres';
import { runsOf } from '../domain/call-runs.js';
import { countsOf } from '../domain/grant.js';
import type { GrantOf } from '../domain/ledger-changes.js';

/** Records how grants now stand: their calls' states and places, and the settles taken. */
export async function updateGrants(tx: Tx, changed: readonly GrantOf[]): Promise<void> {
  const counts = changed.map(({ grant }) => countsOf(grant));
  await tx.query(
    `UPDATE call_grant g
     SET used = c.used, returned = c.returned, expired = c.expired, open = c.open, runs = c.runs, settles = c.settles
     FROM unnest($1::text[], $2::integer[], $3::integer[], $4::integer[], $5::integer[], $6::json[], $7::json[])
       AS c (id, used, returned, expired, open, runs, settles)
     WHERE g.id = c.id`,
    [
      changed.map(({ grant }) => grant.id),
      counts.map(({ used }) => used),
      counts.map(({ returned }) => returned),
      counts.map(({ expired }) => expired),
      counts.map(({ open }) => open),
      changed.map(({ grant }) => JSON.stringify(runsOf(grant.calls))),
      changed.map(({ grant }) => (grant.settles.length === 0 ? null : JSON.stringify(grant.settles))),
    ],
  );
}
