import type { AccountConfig } from '#contracts';
import type { Tx } from '#postgres';

export interface VersionRow {
  readonly id: number;
  readonly account: string;
  readonly version: number;
  readonly appliedAt: number;
  readonly origin: 'file' | 'operator';
  readonly config: AccountConfig;
}

/** Every version of every account stored after one, by account, oldest first. */
export async function readVersions(tx: Pick<Tx, 'query'>, afterId: number): Promise<VersionRow[]> {
  return tx.query<VersionRow>(
    `SELECT id, account, version, applied_at_ms AS "appliedAt", origin, config FROM account_version
     WHERE id > $1 ORDER BY account, version`,
    [afterId],
  );
}
