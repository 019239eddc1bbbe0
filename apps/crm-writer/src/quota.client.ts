import { errors, type NatsConnection } from '@nats-io/transport-node';
import { backoffMs, type Clock, type NewId } from '#clock';
import {
  type AccountName,
  type AcquireAnswer,
  type AcquireRequest,
  type CallKey,
  type CallKind,
  type LimitStanding,
  type ObserveRequest,
  type Priority,
  type QuotaVerb,
  type ReleaseRequest,
  type SettleRequest,
  subjects,
  WRITER_INTEGRATION,
} from '#contracts';

/** Permission for one call. Instants are monotonic ms of the clock that was handed in. */
export interface HeldGrant {
  readonly grantId: string;
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
  /** The ledger didn't answer: no call is made. */
  | { readonly acquired: 'silent'; readonly retryInMs: number };

export interface CallWanted {
  readonly kind: CallKind;
  readonly keys: readonly CallKey[];
  readonly priority: Priority;
  /** Names the request: the same one gets the same grant again. Left out = a new one. */
  readonly requestId?: string;
}

/** What became of a granted call. */
export type Settlement =
  | { readonly settled: 'returned' }
  | { readonly settled: 'used'; readonly sentAtMonoMs: number; readonly answeredAtMonoMs: number | null };

/** The ledger, behind one seam: the only source of permission to call the CRM. No method rejects. */
export interface QuotaClient {
  /** Permission for one call of this kind, or why not now. */
  acquire(account: AccountName, wanted: CallWanted): Promise<Acquired>;
  /**
   * Says what became of the call. Repeated until heard, within a bound; unheard (false) it counts as used, which errs on the safe
   * side.
   */
  settle(account: AccountName, grantId: string, settlement: Settlement): Promise<boolean>;
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

const ACQUIRE_ANSWER_LIMIT_MS = 1_500;
const ACQUIRE_MAX_TRIES = 3;
const SETTLE_ANSWER_LIMIT_MS = 2_000;
const SETTLE_MAX_TRIES = 6;
const RELEASE_MAX_TRIES = 3;
const SETTLE_RETRY = { firstMs: 200, mostMs: 5_000 };
const SILENT_RETRY_MS = 1_000;
/** Most that an `unavailable` ledger makes one request wait here; a longer wait is the account's. */
const UNAVAILABLE_WAIT_MOST_MS = 1_000;
/** Codes by which a ledger said that nothing is decided before it knew the answer `unavailable`. */
const UNDECIDED_CODES = ['unavailable', 'overloaded', 'internal_error'];
/** Headers that tell of limits; others may be long and are nobody's business. */
const TELLING_HEADERS = /rate-?limit|^retry-after$|^date$/;

const encoder = new TextEncoder();

/** The ledger over NATS request/reply, as the user that may ask for Sluice's own integration only. */
export class NatsQuotaClient implements QuotaClient {
  constructor(
    private readonly nc: NatsConnection,
    private readonly clock: Clock,
    private readonly newId: NewId,
  ) {}

  async acquire(
    account: AccountName,
    { kind, keys, priority, requestId = this.newId() }: CallWanted,
  ): Promise<Acquired> {
    const request: AcquireRequest = {
      requestId,
      kind,
      ...(keys.length === 0 ? {} : { keys }),
      calls: { min: 1, max: 1 },
      priority,
      waitMs: 0,
    };
    // Validity counts from the first time this request was sent: whichever copy the ledger answers, it had not begun before.
    const firstSentMonoMs = this.clock.monotonicMs();
    let retryInMs = SILENT_RETRY_MS;
    for (let tries = 1; tries <= ACQUIRE_MAX_TRIES; tries += 1) {
      const answer = await this.#ask(account, 'acquire', request, ACQUIRE_ANSWER_LIMIT_MS);
      if (answer === 'nobody') break;
      if (answer === 'silence') continue;
      if (!isUndecided(answer)) return this.#acquired(answer as AcquireAnswer, firstSentMonoMs);
      retryInMs = waitToldMs(answer) ?? SILENT_RETRY_MS;
      if (retryInMs > UNAVAILABLE_WAIT_MOST_MS) break;
      await this.clock.sleep(retryInMs);
    }
    return { acquired: 'silent', retryInMs };
  }

  async settle(account: AccountName, grantId: string, settlement: Settlement): Promise<boolean> {
    const requestId = this.newId();
    for (let tries = 1; tries <= SETTLE_MAX_TRIES; tries += 1) {
      const nowMonoMs = this.clock.monotonicMs();
      const used =
        settlement.settled === 'returned'
          ? []
          : [
              {
                // Rounded away from the instant on both sides: the call lies within what is told.
                sentAgoMs: Math.ceil(agoMs(nowMonoMs, settlement.sentAtMonoMs)),
                answeredAgoMs:
                  settlement.answeredAtMonoMs === null
                    ? null
                    : Math.floor(agoMs(nowMonoMs, settlement.answeredAtMonoMs)),
              },
            ];
      const request: SettleRequest = { requestId, grantId, used, returned: settlement.settled === 'returned' ? 1 : 0 };
      const answer = await this.#ask(account, 'settle', request, SETTLE_ANSWER_LIMIT_MS);
      if (answer !== 'nobody' && answer !== 'silence' && !isUndecided(answer)) return true;
      await this.clock.sleep(backoffMs(tries, SETTLE_RETRY));
    }
    return false;
  }

  async observe(account: AccountName, observed: Observed): Promise<void> {
    const headers = Object.fromEntries(Object.entries(observed.headers).filter(([name]) => TELLING_HEADERS.test(name)));
    const request: ObserveRequest = {
      grantId: observed.grantId,
      kind: observed.kind,
      status: observed.status,
      headers,
      ...(observed.refusal === null ? {} : { refusal: observed.refusal }),
      answeredAgoMs: Math.floor(agoMs(this.clock.monotonicMs(), observed.answeredAtMonoMs)),
    };
    await this.#ask(account, 'observe', request, SETTLE_ANSWER_LIMIT_MS);
  }

  async release(account: AccountName, holdIds: readonly string[]): Promise<boolean> {
    const request: ReleaseRequest = { requestId: this.newId(), holdIds };
    for (let tries = 1; tries <= RELEASE_MAX_TRIES; tries += 1) {
      const answer = await this.#ask(account, 'release', request, SETTLE_ANSWER_LIMIT_MS);
      // Whatever else it says, the places are still taken.
      if (isRecord(answer) && answer['answer'] === 'released') return true;
      await this.clock.sleep(backoffMs(tries, SETTLE_RETRY));
    }
    return false;
  }

  #acquired(answer: AcquireAnswer, firstSentMonoMs: number): Acquired {
    switch (answer.answer) {
      case 'granted': {
        const { grantId, holdIds, remaining, sendInMs, validForMs } = answer;
        const notBeforeMonoMs = this.clock.monotonicMs() + sendInMs;
        const validUntilMonoMs = firstSentMonoMs + validForMs;
        return { acquired: 'granted', grant: { grantId, holdIds, remaining, notBeforeMonoMs, validUntilMonoMs } };
      }
      case 'refused':
        return { acquired: 'refused', limit: answer.limit, reason: answer.reason, retryInMs: answer.retryInMs };
      case 'rejected':
        return { acquired: 'rejected', code: answer.code, message: answer.message };
      case 'unavailable':
        return { acquired: 'silent', retryInMs: answer.retryInMs };
      default:
        answer satisfies never;
        return {
          acquired: 'rejected',
          code: 'unreadable_answer',
          message: 'the ledger gave an answer of no known sort',
        };
    }
  }

  /** `nobody` = certainly not heard; `silence` = perhaps heard, not answered. */
  async #ask(account: AccountName, verb: QuotaVerb, request: object, timeoutMs: number): Promise<unknown> {
    try {
      const subject = subjects.quota(account, WRITER_INTEGRATION, verb);
      const message = await this.nc.request(subject, encoder.encode(JSON.stringify(request)), { timeout: timeoutMs });
      return message.json();
    } catch (error) {
      return error instanceof errors.NoRespondersError || isNoResponders(error) ? 'nobody' : 'silence';
    }
  }
}

/** Did the ledger say that nothing is decided, or that it can't tell? The same request is to be sent again. */
function isUndecided(answer: unknown): boolean {
  if (!isRecord(answer)) return false;
  if (answer['answer'] === 'unavailable') return true;
  return answer['answer'] === 'rejected' && UNDECIDED_CODES.includes(String(answer['code']));
}

function waitToldMs(answer: unknown): number | null {
  return isRecord(answer) && typeof answer['retryInMs'] === 'number' ? answer['retryInMs'] : null;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function isNoResponders(error: unknown): boolean {
  return error instanceof errors.RequestError && error.isNoResponders();
}

function agoMs(nowMonoMs: number, thenMonoMs: number): number {
  return Math.max(0, nowMonoMs - thenMonoMs);
}
