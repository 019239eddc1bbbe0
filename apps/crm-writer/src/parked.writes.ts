import type { AccountName, CommandKind, InteractionId } from '#contracts';

/** A command that the writer doesn't try any more, with all that tells why. */
export interface ParkedWrite {
  readonly commandId: string;
  readonly interactionId: InteractionId;
  readonly kind: CommandKind;
  readonly ticketId: number | null;
  readonly reason: { readonly code: string; readonly text: string };
  readonly parkedForMs: number;
  readonly attempts: number;
  /** How often it was taken up again before. */
  readonly redriven: number;
  /** What the CRM answered to its last call, cut to a few hundred characters: may hold a customer's words. Null = no answer is kept. */
  readonly answer: { readonly status: number; readonly text: string } | null;
}

/** What an operator sees and does of parked writes; one seam with the writer's memory. */
export interface ParkedWrites {
  /** The longest parked first. */
  parked(account: AccountName, limit: number): Promise<ParkedWrite[]>;
  /** Since how long the longest parked one is, ms; null = none is. */
  longestParkedMs(account: AccountName): Promise<number | null>;
  /**
   * Takes an interaction's parked writes up again: one that may have taken effect is asked for first, any other waits for its next call, with
   * the reason kept until then. How many; a second time there are none.
   */
  redrive(account: AccountName, interactionId: InteractionId): Promise<number>;
}

/** Reasons that leave it open whether the CRM did it, or yet will: before such a write goes again, the CRM is asked. */
export const PARKED_IN_DOUBT = ['undecided', 'job_stuck'] as const;
