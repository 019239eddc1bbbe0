import type { Ownership, Prepared } from '#postgres';
import { grantColumns, type GrantRow } from './grant-row.js';

export interface AskedBefore {
  readonly account: string;
  readonly integration: string;
  readonly requestId: string;
}

/** The clock and the owner in every row; a grant in as many as were found, in one empty row where none was. */
export type GatheredRow = { readonly nowMs: number; readonly epoch: number } & (GrantRow | { readonly id: null });

const GATHER: Prepared = {
  name: 'gather-turn',
  text: `SELECT owner."nowMs", owner.epoch, found.*
     FROM (
       SELECT ceil(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS "nowMs", epoch
       FROM ownership WHERE partition = $1
     ) owner
     LEFT JOIN LATERAL (
       SELECT ${grantColumns('g')}
       FROM unnest($2::text[], $3::text[], $4::text[]) AS asked (account, integration, request_id)
       JOIN call_grant g USING (account, integration, request_id)
       UNION ALL
       SELECT ${grantColumns('g')} FROM call_grant g WHERE g.id = ANY ($5::text[])
     ) found ON true`,
};

/**
 * What a turn needs before it decides: the ledger's clock, who owns it, the grants that requests got before and those that
 * are named by their ids.
 */
export async function gatherTurn(
  runs: Pick<Ownership, 'statement'>,
  partition: number,
  asked: readonly AskedBefore[],
  grantIds: readonly string[],
): Promise<GatheredRow[]> {
  return runs.statement<GatheredRow>(GATHER, [
    partition,
    asked.map(({ account }) => account),
    asked.map(({ integration }) => integration),
    asked.map(({ requestId }) => requestId),
    grantIds,
  ]);
}
