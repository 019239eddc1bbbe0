import type { LockSession, Prepared } from '#postgres';

const CLOCK: Prepared = {
  name: 'read-clock',
  text: `SELECT ceil(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS "nowMs"`,
};

/** The database's clock, epoch ms, rounded up. */
export async function readClock(on: Pick<LockSession, 'statement'>): Promise<number> {
  const [row] = await on.statement<{ nowMs: number }>(CLOCK, []);
  return row!.nowMs;
}
