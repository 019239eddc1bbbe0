import type { Tx } from '#postgres';
import type { HoldTaken } from '../domain/ledger-changes.js';

/** Records places taken. */
export async function insertHolds(tx: Tx, taken: readonly HoldTaken[]): Promise<void> {
  await tx.query(
    `INSERT INTO hold (account, id, limit_name, integration, grant_id, taken_at_ms)
     SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[])`,
    [
      taken.map(({ account }) => account),
      taken.map(({ id }) => id),
      taken.map(({ limit }) => limit),
      taken.map(({ integration }) => integration),
      taken.map(({ grantId }) => grantId),
      taken.map(({ takenAt }) => takenAt),
    ],
  );
}
