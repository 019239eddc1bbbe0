import type { Tx } from '#postgres';
import type { UsageTable } from './add-usage.js';

/** Makes a table that can become a partition of counted calls: rows that are updated have room on their pages. */
export async function createUsagePartition(tx: Pick<Tx, 'query'>, table: UsageTable, name: string): Promise<void> {
  await tx.query(`CREATE TABLE ${name} (LIKE ${table} INCLUDING ALL) WITH (fillfactor = 50)`);
}
