import type { AccountConfig } from '#contracts';
import type { Tx } from '#postgres';

export interface VersionRow {
  readonly account: string;
  readonly version: number;
  readonly appliedAt: number;
  readonly origin: 'file' | 'operator';
  readonly config: AccountConfig;
}

/** Every version of every account (or of one), by account, oldest first. */
export async function readVersions(tx: Tx, account: string | null): Promise<VersionRow[]> {
  return tx.query<VersionRow>(
    `SELECT account, version, applied_at_ms AS "appliedAt", origin, config FROM account_version
     WHERE $1::text IS NULL OR account = $1 ORDER BY account, version`,
    [account],
  );
}
