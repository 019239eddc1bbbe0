import type { Tx } from '#postgres';
import type { UsageTable } from './add-usage.js';

/**
 * Nobody else reads or writes the table until the transaction ends. Whoever waits plans its statement afterwards, with the
 * partitions as they then are: with a weaker lock it would look for moved rows where they were.
 */
export async function lockUsage(tx: Pick<Tx, 'query'>, table: UsageTable): Promise<void> {
  await tx.query(`LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`);
}
