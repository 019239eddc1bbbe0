import type { Tx } from '#postgres';

export interface HoldRow {
  readonly account: string;
  readonly id: string;
  readonly limit: string;
  readonly integration: string;
  readonly grantId: string;
  readonly takenAt: number;
}

/** Every place taken, of every account or of one. */
export async function readHolds(tx: Tx, account: string | null): Promise<HoldRow[]> {
  return tx.query<HoldRow>(
    `SELECT account, id, limit_name AS "limit", integration, grant_id AS "grantId", taken_at_ms AS "takenAt"
     FROM hold
     WHERE $1::text IS NULL OR account = $1`,
    [account],
  );
}
