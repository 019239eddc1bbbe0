import type { Tx } from '#postgres';
import type { ContactStep } from '../domain/contact.js';

export interface ContactRow {
  readonly key: string;
  readonly user_id: number | null;
  readonly step: ContactStep | 'refused' | null;
  readonly refused_for: string | null;
  readonly busy: boolean;
  readonly attempts: number;
}

/** What is remembered under these keys, refusals until they expire. Busy = a call for it is in flight, or it has to wait a while. */
export async function selectContacts(tx: Tx, account: string, keys: readonly string[]): Promise<ContactRow[]> {
  return tx.query<ContactRow>(
    `SELECT key, user_id, attempts,
            CASE WHEN step <> 'refused' OR not_before > clock_timestamp() THEN step END AS step,
            CASE WHEN step <> 'refused' OR not_before > clock_timestamp() THEN refused_for END AS refused_for,
            (busy_call_id IS NOT NULL OR (step <> 'refused' AND not_before > clock_timestamp())) IS TRUE AS busy
     FROM contact WHERE account = $1 AND key = ANY($2::text[])`,
    [account, keys],
  );
}
