import type { Tx } from '#postgres';

/** Every account of which calls were counted, or that was ever configured. */
export async function readCountedAccounts(tx: Pick<Tx, 'query'>): Promise<string[]> {
  const rows = await tx.query<{ account: string }>(
    `SELECT account FROM account_version UNION SELECT account FROM usage_day UNION SELECT account FROM usage_minute_other`,
  );
  return rows.map(({ account }) => account);
}
