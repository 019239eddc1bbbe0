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

/** What is remembered under these keys. Busy = a call for it is in flight, or it has to wait a while. */
export async function selectContacts(tx: Tx, account: string, keys: readonly string[]): Promise<ContactRow[]> {
  return tx.query<ContactRow>(
    `SELECT key, user_id, step, refused_for, attempts,
            (busy_call_id IS NOT NULL OR not_before > clock_timestamp()) AS busy
     FROM contact WHERE account = $1 AND key = ANY($2::text[])`,
    [account, keys],
  );
}
