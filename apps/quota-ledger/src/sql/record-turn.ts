import type { LockSession, Prepared } from '#postgres';
import type { TurnToRecord } from '../ledger.store.js';

/** Decisions older than this when they reach the tables are not recorded: whoever made them had stood still. */
const STALE_MS = 2_000;

/** One statement for each number of partitions: scalars travel as they are, arrays would have to be escaped. */
const prepared = new Map<number, Prepared>();

function statementFor(parts: number): Prepared {
  let known = prepared.get(parts);
  if (known) return known;
  const rows = Array.from({ length: parts }, (_, part) => {
    const [id, epoch, seq, atMs, events] = [1, 2, 3, 4, 5].map((column) => `$${part * 5 + column}`);
    return `(${id}::integer, ${epoch}::bigint, ${seq}::bigint, ${atMs}::bigint, ${events}::text)`;
  });
  known = {
    name: `record-turn-${parts}`,
    text: `WITH clock AS (SELECT ceil(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms)
      INSERT INTO journal (partition, epoch, seq, at_ms, events)
      SELECT turn.* FROM (VALUES ${rows.join(', ')}) AS turn (partition, epoch, seq, at_ms, events)
      JOIN partition p ON p.id = turn.partition AND p.epoch = turn.epoch, clock
      WHERE clock.now_ms - turn.at_ms <= ${STALE_MS}
      RETURNING (SELECT now_ms FROM clock) AS "nowMs"`,
  };
  prepared.set(parts, known);
  return known;
}

/**
 * Records a turn, each partition's part for itself: not where another epoch has begun, nor where it was decided too long ago.
 * Returns how many parts were recorded, and the database's clock of before.
 */
export async function recordTurn(
  on: Pick<LockSession, 'statement'>,
  turns: readonly TurnToRecord[],
): Promise<{ readonly recorded: number; readonly nowMs: number }> {
  const values: unknown[] = [];
  for (const { partition, epoch, seq, atMs, events } of turns)
    values.push(partition, epoch, seq, atMs, JSON.stringify(events));
  const rows = await on.statement<{ nowMs: number }>(statementFor(turns.length), values);
  return { recorded: rows.length, nowMs: rows[0]?.nowMs ?? 0 };
}
