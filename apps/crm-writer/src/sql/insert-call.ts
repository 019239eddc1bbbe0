import type { Priority } from '#contracts';
import type { Tx } from '#postgres';
import { rankOfPriority } from '../domain/write.js';
import type { StoredRequest } from '../write.store.js';

export interface NewCall {
  readonly callId: string;
  readonly account: string;
  readonly kind: string;
  readonly writer: 'single' | 'batch' | 'contact';
  readonly priority: Priority;
  readonly grantId: string;
  readonly holdIds: readonly string[];
  readonly request: StoredRequest;
  readonly contactKeys: readonly string[];
  readonly underWayForMs: number;
}

/** Stores a call with its bytes and its grant, before it is sent. A job list is asked only after bulk calls. */
export async function insertCall(tx: Tx, call: NewCall): Promise<void> {
  const { request } = call;
  await tx.query(
    `INSERT INTO call (call_id, account, kind, writer, priority, state, grant_id, hold_ids, holds_released,
                       method, path, body, idempotency_key, contact_keys, under_way_until, jobs_settled)
     VALUES ($1, $2, $3, $4, $5, 'sent', $6, $7::text[], cardinality($7::text[]) = 0,
             $8, $9, $10, $11, $12, clock_timestamp() + $13 * interval '1 millisecond', $4 <> 'batch')`,
    [
      call.callId,
      call.account,
      call.kind,
      call.writer,
      rankOfPriority(call.priority),
      call.grantId,
      call.holdIds,
      request.method,
      request.path,
      request.body,
      request.idempotencyKey,
      call.contactKeys,
      call.underWayForMs,
    ],
  );
}
