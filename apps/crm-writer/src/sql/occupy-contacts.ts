import type { Tx } from '#postgres';
import type { ContactStep } from '../domain/contact.js';

/** Gives a contact's keys to a call, where none of them is taken or known. How many were given. */
export async function occupyContacts(
  tx: Tx,
  account: string,
  callId: string,
  keys: readonly string[],
  step: ContactStep,
): Promise<number> {
  const taken = await tx.query(
    `INSERT INTO contact AS c (account, key, step, busy_call_id)
     SELECT $1, key, $4, $2 FROM unnest($3::text[]) AS key ORDER BY key
     ON CONFLICT (account, key) DO UPDATE SET busy_call_id = $2, step = excluded.step, refused_for = NULL
     WHERE c.busy_call_id IS NULL AND c.user_id IS NULL
     RETURNING key`,
    [account, callId, keys, step],
  );
  return taken.length;
}
