import type { AccountName } from '#contracts';
import type { RehearsedCalls, Rehearsal, ToRehearse } from './domain/rehearse-calls.js';
import type { NextUp } from './write.store.js';

/** What a dry run adds to the writer's memory; one seam with it. */
export interface Rehearsals {
  /** By priority, then age; the commands of each in the order in which they would take effect. */
  toRehearse(
    account: AccountName,
    limit: number,
  ): Promise<{
    readonly interactions: readonly ToRehearse[];
    readonly contacts: NextUp['contacts'];
  }>;
  /** Counts it, and tells each command's outcome. False = something changed meanwhile; nothing was counted. */
  rehearsed(account: AccountName, rehearsal: Rehearsal): Promise<boolean>;
  /** All that was counted so far, and since when (epoch ms); null = nothing. */
  rehearsal(
    account: AccountName,
  ): Promise<{ readonly since: number; readonly calls: readonly RehearsedCalls[] } | null>;
}
