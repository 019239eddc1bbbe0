import {
  type CommandKind,
  type InteractionId,
  type Outcome,
  type OutcomeData,
  type OutcomeType,
  SCHEMA_VERSION,
} from '#contracts';

/** What is known of a write that has come to its end. */
export interface FinalWrite {
  readonly commandId: string;
  readonly account: string;
  readonly interactionId: InteractionId;
  readonly kind: CommandKind;
  readonly eventAt: number;
  readonly traceparent: string | null;
  readonly state: OutcomeType;
  readonly ticketId: number | null;
  readonly grantId: string | null;
  readonly writer: OutcomeData['writer'];
  /** Commands that the call carried; 0 where there was none. */
  readonly mergedWith: number;
  readonly reason: OutcomeData['reason'];
  /** How often the operator took it up again after it was parked; left out = never. */
  readonly redriven?: number;
}

/**
 * The message that tells a command's end. Its id follows from the command's, so there is one for each, whatever is repeated; each time
 * that a parked one is taken up again it may come to one more.
 */
export function outcomeOf(write: FinalWrite, nowMs: number): Outcome {
  return {
    id: `outcome-${write.commandId}${write.redriven ? `-${write.redriven}` : ''}`,
    type: write.state,
    schemaVersion: SCHEMA_VERSION,
    account: write.account,
    occurredAt: nowMs,
    recordedAt: nowMs,
    causationId: write.commandId,
    traceparent: write.traceparent,
    data: {
      interactionId: write.interactionId,
      commandId: write.commandId,
      kind: write.kind,
      ticketId: write.ticketId,
      grantId: write.grantId,
      writer: write.writer,
      mergedWith: write.mergedWith,
      reason: write.reason,
      delayMs: Math.max(0, nowMs - write.eventAt),
    },
  };
}
