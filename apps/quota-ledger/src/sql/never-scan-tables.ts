import type { Tx } from '#postgres';

/**
 * Every statement of a turn finds its rows by index. Without statistics, which a young table has not, the planner takes it for
 * small and reads all of it, ever longer; so on this connection it is told not to.
 */
export async function neverScanTables(tx: Tx): Promise<void> {
  await tx.query(`SET enable_seqscan = off`);
}
