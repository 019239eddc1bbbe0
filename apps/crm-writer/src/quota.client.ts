import type { NatsConnection } from '@nats-io/transport-node';
import type { Clock, NewId } from '#clock';
import {
  type AccountName,
  type CallKey,
  type CallKind,
  type LimitStanding,
  type Priority,
  WRITER_INTEGRATION,
} from '#contracts';
import { type CallMade, QuotaClient as ProtocolClient } from '#quota-client';

/** Permission for calls. Instants are monotonic ms of the clock that was handed in. */
export interface HeldGrant {
  readonly grantId: string;
  /** How many calls it is for. */
  readonly calls: number;
  /** One place for each call of a bulk kind, in the calls' order. */
  readonly holdIds: readonly string[];
  readonly remaining: readonly LimitStanding[];
  readonly notBeforeMonoMs: number;
  readonly validUntilMonoMs: number;
}

export type Acquired =
  | { readonly acquired: 'granted'; readonly grant: HeldGrant }
  | { readonly acquired: 'refused'; readonly limit: string; readonly reason: string; readonly retryInMs: number }
  /** Asking again the same way is pointless. */
  | { readonly acquired: 'rejected'; readonly code: string; readonly message: string }
  /** The ledger didn't answer, or the wait was ended: no call is made. */
  | { readonly acquired: 'silent'; readonly retryInMs: number };

export interface CallWanted {
  readonly kind: CallKind;
  /** One entry for each call of `calls.max`, or none. */
  readonly keys: readonly CallKey[];
  readonly priority: Priority;
  /** As many of them as fit; left out = one. */
  readonly calls?: { readonly min: number; readonly max: number };
  /** How long it may wait in the ledger for its turn, ms; left out = answered at once. */
  readonly waitMs?: number;
  /** Ends that wait; what was granted meanwhile is returned. */
  readonly signal?: AbortSignal;
  /** Names the request: the same one gets the same grant again. Left out = a new one. */
  readonly requestId?: string;
}

/** What became of granted calls. */
export type Settlement =
  /** So many (one, where left out) were not and will not be made; taken from the end of those open. */
  | { readonly settled: 'returned'; readonly calls?: number }
  | {
      readonly settled: 'used';
      /** Which of the grant's calls, from 0; left out = the first one open. Needed where calls have different keys. */
      readonly call?: number;
      readonly sentAtMonoMs: number;
      readonly answeredAtMonoMs: number | null;
    };

/** The ledger, behind one seam: the only source of permission to call the CRM. No method rejects. */
export interface QuotaClient {
  /** Permission for calls of this kind, or why not now. */
  acquire(account: AccountName, wanted: CallWanted): Promise<Acquired>;
  /**
   * Says what became of calls of a grant: of all, or of some. Repeated until heard, within a bound; unheard (false) they count
   * as used, which errs on the safe side.
   */
  settle(account: AccountName, grantId: string, settled: Settlement | readonly Settlement[]): Promise<boolean>;
  /** What the CRM said of its limits. */
  observe(account: AccountName, observed: Observed): Promise<void>;
  /** Gives places of ended jobs back. False = not heard; it is to be said again. */
  release(account: AccountName, holdIds: readonly string[]): Promise<boolean>;
}

export interface Observed {
  readonly grantId: string;
  readonly kind: CallKind;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly refusal: string | null;
  readonly answeredAtMonoMs: number;
}

/** One answer within this, beside what a request may wait in the ledger. */
const ANSWER_WITHIN_MS = 1_500;

/** The ledger over NATS, as the user that may ask for Sluice's own integration only. */
export class NatsQuotaClient implements QuotaClient {
  readonly #clients = new Map<AccountName, ProtocolClient>();

  constructor(
    private readonly nc: NatsConnection,
    private readonly clock: Clock,
    private readonly newId: NewId,
  ) {}

  async acquire(account: AccountName, wanted: CallWanted): Promise<Acquired> {
    const acquired = await this.#of(account).acquire(wanted);
    switch (acquired.answer) {
      case 'granted':
        return { acquired: 'granted', grant: acquired.grant };
      case 'refused': {
        const { limit, reason, retryInMs } = acquired;
        return { acquired: 'refused', limit, reason, retryInMs };
      }
      case 'rejected':
        return { acquired: 'rejected', code: acquired.code, message: acquired.message };
      case 'silent':
        return { acquired: 'silent', retryInMs: acquired.retryInMs };
      case 'withdrawn':
        return { acquired: 'silent', retryInMs: 0 };
      default:
        return acquired satisfies never;
    }
  }

  async settle(account: AccountName, grantId: string, settled: Settlement | readonly Settlement[]): Promise<boolean> {
    const used: CallMade[] = [];
    let returned = 0;
    for (const one of listOf(settled))
      if (one.settled === 'used') used.push(one);
      else returned += one.calls ?? 1;
    const { answer } = await this.#of(account).settle(grantId, { used, returned });
    return answer !== 'silent';
  }

  async observe(account: AccountName, observed: Observed): Promise<void> {
    await this.#of(account).observe(observed);
  }

  async release(account: AccountName, holdIds: readonly string[]): Promise<boolean> {
    // Whatever else it says, the places are still taken.
    return (await this.#of(account).release(holdIds)).answer === 'released';
  }

  #of(account: AccountName): ProtocolClient {
    const known = this.#clients.get(account);
    if (known) return known;
    const { nc, clock, newId } = this;
    const client = new ProtocolClient({
      account,
      integration: WRITER_INTEGRATION,
      nc,
      clock,
      newId,
      patience: { answerWithinMs: ANSWER_WITHIN_MS },
    });
    this.#clients.set(account, client);
    return client;
  }
}

/** Of one settlement or several. */
export function listOf(settled: Settlement | readonly Settlement[]): readonly Settlement[] {
  return 'settled' in settled ? [settled] : settled;
}
