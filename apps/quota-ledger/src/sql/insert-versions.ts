import type { AccountConfig } from '#contracts';
import type { Tx } from '#postgres';

export interface NewVersion {
  readonly version: number;
  readonly origin: 'file' | 'operator';
  readonly config: AccountConfig;
}

/** Records new versions of accounts, in force from the instant. */
export async function insertVersions(tx: Tx, versions: readonly NewVersion[], appliedAtMs: number): Promise<void> {
  await tx.query(
    `INSERT INTO account_version (account, version, applied_at_ms, origin, config)
     SELECT account, version, $4, origin, config
     FROM unnest($1::text[], $2::integer[], $3::text[], $5::jsonb[]) AS v (account, version, origin, config)`,
    [
      versions.map(({ config }) => config.name),
      versions.map(({ version }) => version),
      versions.map(({ origin }) => origin),
      appliedAtMs,
      versions.map(({ config }) => JSON.stringify(config)),
    ],
  );
}
