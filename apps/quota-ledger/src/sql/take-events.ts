import type { Tx } from '#postgres';

export interface EventRow {
  readonly id: number;
  readonly account: string;
  readonly integration: string;
  readonly event: string;
  readonly atMs: number;
  readonly entries: readonly object[];
}

/** The oldest events not yet told, oldest first. */
export async function takeEvents(tx: Pick<Tx, 'query'>, partition: number, limit: number): Promise<EventRow[]> {
  return tx.query<EventRow>(
    `SELECT id, account, integration, event, at_ms AS "atMs", entries
     FROM ledger_event
     WHERE id > (SELECT last_id FROM relay_position WHERE partition = $1)
     ORDER BY id LIMIT $2`,
    [partition, limit],
  );
}
