import type { Tx } from '#postgres';
import { grantColumns, type GrantRow } from './grant-row.js';

export interface AskedBefore {
  readonly account: string;
  readonly integration: string;
  readonly requestId: string;
}

/** The grants that these requests got before, as far as the table remembers. */
export async function findGrantsByRequest(tx: Tx, asked: readonly AskedBefore[]): Promise<GrantRow[]> {
  return tx.query<GrantRow>(
    `SELECT ${grantColumns('g')}
     FROM unnest($1::text[], $2::text[], $3::text[]) AS asked (account, integration, request_id)
     JOIN call_grant g USING (account, integration, request_id)`,
    [
      asked.map(({ account }) => account),
      asked.map(({ integration }) => integration),
      asked.map(({ requestId }) => requestId),
    ],
  );
}
