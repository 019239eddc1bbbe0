import type { Outcome } from '#contracts';
import { encodeEnvelope, subjects } from '#contracts';
import type { Tx } from '#postgres';

/** Puts outcomes into the outbox; one per command, whatever is repeated. */
export async function insertOutcomes(tx: Tx, outcomes: readonly Outcome[]): Promise<void> {
  await tx.query(
    `INSERT INTO outbox (subject, msg_id, payload)
     SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[])
     ON CONFLICT (msg_id) DO NOTHING`,
    [
      outcomes.map(({ account, data }) => subjects.outcome(account, data.interactionId, data.kind)),
      outcomes.map(({ account, id }) => `${account}.${id}`),
      outcomes.map((outcome) => Buffer.from(encodeEnvelope(outcome))),
    ],
  );
}
