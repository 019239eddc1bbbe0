import type { Tx } from '#postgres';
import type { LedgerEvent } from '../domain/ledger-changes.js';

/** Records what happened, to be told on LEDGER in the order of these rows. */
export async function insertEvents(tx: Tx, events: readonly LedgerEvent[], atMs: number): Promise<void> {
  await tx.query(
    `INSERT INTO ledger_event (account, integration, event, at_ms, entries)
     SELECT account, integration, event, $4, entries
     FROM unnest($1::text[], $2::text[], $3::text[], $5::json[]) AS e (account, integration, event, entries)`,
    [
      events.map(({ account }) => account),
      events.map(({ integration }) => integration),
      events.map(({ event }) => event),
      atMs,
      events.map(({ entries }) => JSON.stringify(entries)),
    ],
  );
}
