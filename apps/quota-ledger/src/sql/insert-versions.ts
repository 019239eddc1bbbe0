import type { Tx } from '#postgres';
import type { NewVersion } from '../ledger.store.js';

/** Records new versions of accounts, in force from now, but not from before `leastMs`. */
export async function insertVersions(
  tx: Pick<Tx, 'query'>,
  versions: readonly NewVersion[],
  leastMs: number,
): Promise<void> {
  await tx.query(
    `INSERT INTO account_version (id, account, version, applied_at_ms, origin, config)
     SELECT (SELECT coalesce(max(id), 0) FROM account_version) + row_number() OVER (), account, version, greatest($4, ceil(extract(epoch FROM clock_timestamp()) * 1000)::bigint), origin, config
     FROM unnest($1::text[], $2::integer[], $3::text[], $5::jsonb[]) AS v (account, version, origin, config)`,
    [
      versions.map(({ config }) => config.name),
      versions.map(({ version }) => version),
      versions.map(({ origin }) => origin),
      leastMs,
      versions.map(({ config }) => JSON.stringify(config)),
    ],
  );
}
