import type { CommandKind } from '#contracts';
import type { Tx } from '#postgres';

export interface RehearsedWrite {
  readonly command_id: string;
  readonly interaction_id: string;
  readonly kind: CommandKind;
  readonly event_at: number;
  readonly traceparent: string | null;
  readonly redriven: number;
}

/** Calls were planned for these commands of a dry run. Those for which they were not planned already. */
export async function endRehearsed(tx: Tx, commandIds: readonly string[]): Promise<RehearsedWrite[]> {
  return tx.query<RehearsedWrite>(
    `UPDATE write SET to_plan = false WHERE command_id = ANY($1::text[]) AND to_plan
     RETURNING command_id, interaction_id, kind, event_at, traceparent, redriven`,
    [commandIds],
  );
}
