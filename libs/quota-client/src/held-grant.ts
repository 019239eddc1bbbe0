import type { Granted, LimitStanding } from '#contracts';

/** Permission for some calls. Instants are ms of the monotonic clock that the client was given. */
export class HeldGrant {
  readonly grantId: string;
  /** How many calls may be made. */
  readonly calls: number;
  /** One place for each call of a bulk kind, taken until released; empty for other kinds. */
  readonly holdIds: readonly string[];
  readonly remaining: readonly LimitStanding[];
  /** Where the account is in shadow mode: what would have refused. */
  readonly wouldRefuse: Granted['wouldRefuse'] | null;
  /** No call may leave before. Counted from when the answer was here, so a slow answer makes it later, never earlier. */
  readonly notBeforeMonoMs: number;
  /** No call may leave from then on. Counted from when the request was first sent: before the ledger had even seen it. */
  readonly validUntilMonoMs: number;
  /** What isn't settled by then counts as used, for ever. */
  readonly settleByMonoMs: number;

  constructor(granted: Granted, at: { readonly firstSentMonoMs: number; readonly answeredMonoMs: number }) {
    this.grantId = granted.grantId;
    this.calls = granted.calls;
    this.holdIds = granted.holdIds;
    this.remaining = granted.remaining;
    this.wouldRefuse = granted.wouldRefuse ?? null;
    this.notBeforeMonoMs = at.answeredMonoMs + granted.sendInMs;
    this.validUntilMonoMs = at.firstSentMonoMs + granted.validForMs;
    this.settleByMonoMs = at.firstSentMonoMs + granted.settleWithinMs;
  }

  /** May a call's first byte leave now? Ask right before it does: whatever was true a moment ago may no longer be. */
  mayLeave(nowMonoMs: number): boolean {
    return nowMonoMs >= this.notBeforeMonoMs && nowMonoMs < this.validUntilMonoMs;
  }

  /** Is it too late for every call? Then all there is to do is to settle them as returned. */
  isOver(nowMonoMs: number): boolean {
    return !(Math.max(nowMonoMs, this.notBeforeMonoMs) < this.validUntilMonoMs);
  }
}
