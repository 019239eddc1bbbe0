import type { CallKind } from '#contracts';
import type { Tx } from '#postgres';

export interface RehearsedCallsRow {
  readonly kind: CallKind;
  readonly calls: number;
  readonly tickets: number;
  /** Epoch ms. */
  readonly since: number;
}

/** What an account's dry runs would have made, by kind of call. */
export async function selectRehearsedCalls(tx: Tx, account: string): Promise<RehearsedCallsRow[]> {
  return tx.query<RehearsedCallsRow>(
    `SELECT kind, calls::float8 AS calls, tickets::float8 AS tickets, (extract(epoch FROM since) * 1000)::float8 AS since
     FROM rehearsed_call WHERE account = $1 ORDER BY kind`,
    [account],
  );
}
