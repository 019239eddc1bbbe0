import type { Clock, NewId } from '#clock';
import {
  type AccountName,
  CALL_KINDS,
  type CallKey,
  type CallKind,
  type LimitStanding,
  type Priority,
} from '#contracts';
import { draws, type LimitSet } from '#limits';
import type { Log } from '#telemetry';
import { callSeconds, callsMade, quotaRefusals } from './crm-writer.metrics.js';
import {
  type AccountGate,
  closed,
  closedKinds,
  CREDENTIAL_PROBE_MS,
  failed,
  isFailing,
  OPEN_GATE,
  opened,
} from './domain/account-gate.js';
import { type CrmResponse, judgeResponse, type Verdict } from './domain/judge-response.js';
import type { HeldGrant, QuotaClient, Settlement } from './quota.client.js';
import type { StoredRequest } from './write.store.js';
import type { Crm, CrmAnswer } from './zendesk/crm.js';

/** A call as its writer wants it made. */
export interface WantedCall {
  /** Made by the writer; names the call in the store and in the log. */
  readonly callId: string;
  readonly kind: CallKind;
  readonly keys: readonly CallKey[];
  readonly priority: Priority;
  /** Names the request to the ledger, for one that was noted before; left out = a new one. */
  readonly requestId?: string;
  /** Told where that request got no grant, or no answer: it may be made again. */
  readonly ungranted?: () => void;
  /** Does it change something at the CRM? */
  readonly effect: boolean;
  /** Facts for the log line; no customer's text. */
  readonly about: Readonly<Record<string, unknown>>;
  /**
   * Stores what is about to be sent, under this grant; the request, or null where something changed meanwhile and nothing
   * may be sent. Rejecting = nothing is sent.
   */
  readonly claim: (grant: HeldGrant, underWayForMs: number) => Promise<StoredRequest | null>;
  /** Stores what came of it. Repeated until it succeeds, so it must bear repeating. */
  readonly record: (made: MadeCall) => Promise<void>;
}

/** What came of a call that was claimed. */
export type MadeCall =
  | {
      readonly made: 'answered';
      readonly response: CrmResponse;
      readonly raw: Uint8Array;
      readonly verdict: Verdict;
      readonly own: boolean;
      readonly underWayForMs: number;
    }
  /** Certainly never sent: the grant ran out, or there was no connection. */
  | { readonly made: 'unsent'; readonly reason: string }
  | { readonly made: 'lost'; readonly reason: string; readonly own: boolean; readonly underWayForMs: number };

/** How a wanted call ended, for whoever schedules the next. */
export type CallEnd =
  | 'made'
  /** A question that the CRM failed to answer. */
  | 'failed'
  | 'changed'
  /** Refused for this ticket or user alone: others of its kind may go. */
  | { readonly delayedMs: number }
  | 'held'
  /** The answer could not be stored, or it isn't known whether the claim was: the store has to be looked at again. */
  | 'unrecorded';

export interface CallMakerOptions {
  readonly account: AccountName;
  readonly quota: QuotaClient;
  readonly crm: Crm;
  readonly clock: Clock;
  readonly newId: NewId;
  /** In [0, 1). */
  readonly random: () => number;
  readonly log: Log;
  readonly limits: LimitSet;
  readonly timeScale: number;
  readonly requestTimeoutMs: number;
  /** Aborted when this process no longer owns the account: nothing is sent or stored from then on. */
  readonly ended: AbortSignal;
}

/** Tries to store an answer before the store is asked afresh what it knows; with the waits below about a minute. */
const MAX_RECORD_TRIES = 15;
const RECORD_RETRY_MOST_MS = 5_000;
/** Waits where the CRM names none, its own time. */
const DEFAULT_WAIT_MS = { account: 10_000, endpoint: 10_000, edge: 30_000, jobs: 5_000 } as const;
/** Refusals that hold for every call that draws on the limit, whatever its kind and priority: nobody need ask for the others. */
const FULL_FOR_ALL: readonly string[] = ['limit_reached', 'closed_by_crm', 'cap_reached', 'paused'];
/** A refusal by the ledger that names no time. */
const LEAST_RETRY_MS = 20;
/** The ledger won't ever grant it like this: a mistake of this release or of the configuration. */
const REJECTED_RETRY_MS = 10_000;
/** After grants that were too old when they were to be used. */
const FIRST_LATE_WAIT_MS = 50;
const LONGEST_LATE_WAIT_MS = 5_000;
/** What of a refusal's body is handed to the ledger. */
const REFUSAL_TEXT_BYTES = 256;

/**
 * Makes single calls of one account: ask the ledger, claim, look at the time once more, send, record, settle, tell what was
 * observed. Keeps the account's gate. The only place from which the CRM is called.
 */
export class CallMaker {
  #gate: AccountGate = OPEN_GATE;
  #lateInARow = 0;
  /** When a probe last showed that it is the CRM that fails. */
  #outageAtMonoMs = -Infinity;
  #crmTime: { readonly atMs: number; readonly monoMs: number } | null = null;
  readonly #standings = new Map<string, { readonly standing: LimitStanding; readonly atMs: number }>();

  constructor(private readonly options: CallMakerOptions) {}

  get gate(): AccountGate {
    return this.#gate;
  }

  /** What the limits that this kind of call draws on have left, as the ledger last told; windows over since count as full. */
  standingsFor(kind: CallKind): LimitStanding[] {
    return this.options.limits.limits
      .filter((limit) => draws(limit, kind) && (limit.scope === 'account' || limit.scope === 'endpoint'))
      .flatMap(({ name, lengthMs }) => {
        const told = this.#standings.get(name);
        if (!told) return [];
        const { standing, atMs } = told;
        if (standing.resetsInMs === null) return [standing];
        const resetsInMs = standing.resetsInMs - (this.options.clock.monotonicMs() - atMs);
        if (resetsInMs > 0) return [{ ...standing, resetsInMs }];
        return [{ ...standing, remaining: standing.max, resetsInMs: lengthMs }];
      });
  }

  /** Did the CRM fail for everybody at some time in the last `forMs`? Then a failure in that time is no write's own. */
  failedForAll(forMs: number): boolean {
    return this.#outageAtMonoMs >= this.options.clock.monotonicMs() - forMs;
  }

  /** The CRM's own clock, epoch ms, as its last answer told it (to the second); null = it told none yet. */
  crmNowMs(): number | null {
    if (!this.#crmTime) return null;
    const agoMs = this.options.clock.monotonicMs() - this.#crmTime.monoMs;
    return this.#crmTime.atMs + agoMs * this.options.timeScale;
  }

  /** The fewest calls of this kind that a window not over by then has left; null = not known. */
  leastLeft(kind: CallKind, inMs: number): number | null {
    const binding = this.standingsFor(kind).filter(({ resetsInMs }) => resetsInMs === null || resetsInMs > inMs);
    return binding.length === 0 ? null : Math.min(...binding.map(({ remaining }) => remaining));
  }

  /** Makes one call from permission to record. Never rejects. */
  async make(call: WantedCall): Promise<CallEnd> {
    const { account, quota, clock } = this.options;
    const begunMonoMs = clock.monotonicMs();
    const acquired = await quota.acquire(account, call);
    if (acquired.acquired !== 'granted') {
      call.ungranted?.();
      return this.#notGranted(call, acquired);
    }
    const { grant } = acquired;
    for (const standing of grant.remaining)
      this.#standings.set(standing.limit, { standing, atMs: clock.monotonicMs() });
    const claimed = await this.#claim(call, grant);
    if (claimed === 'changed' || claimed === 'unrecorded' || claimed === 'late') {
      void quota.settle(account, grant.grantId, { settled: 'returned' });
      // Nothing was sent, so no job will ever give them back.
      if (grant.holdIds.length > 0) void quota.release(account, grant.holdIds);
      if (claimed !== 'late') return claimed;
      this.#tooLate(call.kind, clock.monotonicMs());
      return 'held';
    }
    const isProbe = isFailing(this.#gate);
    const answer = await this.#send(claimed, grant);
    const underWayForMs = Math.max(0, this.#underWayUntilMonoMs(grant) - clock.monotonicMs());
    const made = this.#judge(call, answer, underWayForMs);
    if (isProbe && isFailing(this.#gate) && isFailure(made)) this.#outageAtMonoMs = clock.monotonicMs();
    this.#logAttempt(call, grant, answer, made, begunMonoMs);
    const recorded = await this.#record(call, made);
    void this.#settle(call, grant, answer);
    if (!recorded) return 'unrecorded';
    return !call.effect && isFailure(made) ? 'failed' : 'made';
  }

  async #notGranted(
    call: WantedCall,
    acquired: Exclude<Awaited<ReturnType<QuotaClient['acquire']>>, { acquired: 'granted' }>,
  ): Promise<CallEnd> {
    const { log, account, clock, limits } = this.options;
    const nowMs = clock.monotonicMs();
    switch (acquired.acquired) {
      case 'refused': {
        const retryInMs = Math.max(acquired.retryInMs, LEAST_RETRY_MS);
        log.debug('quota refused', { account, kind: call.kind, limit: acquired.limit, retryInMs });
        const limit = limits.limits.find(({ name }) => name === acquired.limit);
        if (limit?.scope === 'ticket' || limit?.scope === 'user') return { delayedMs: retryInMs };
        const isFull = limit && FULL_FOR_ALL.includes(acquired.reason);
        const kinds = isFull ? CALL_KINDS.filter((kind) => draws(limit, kind)) : [call.kind];
        this.#gate = closedKinds(this.#gate, kinds, nowMs + retryInMs);
        quotaRefusals.inc({ account, kind: call.kind, limit: acquired.limit });
        return 'held';
      }
      case 'silent':
        log.warn('the quota ledger does not answer', { account, kind: call.kind });
        this.#gate = closedKinds(this.#gate, CALL_KINDS, nowMs + acquired.retryInMs);
        return 'held';
      case 'rejected': {
        const { code, message } = acquired;
        log.error('the quota ledger rejects a request', { account, kind: call.kind, code, reason: message });
        this.#gate = closedKinds(this.#gate, [call.kind], nowMs + REJECTED_RETRY_MS);
        return 'held';
      }
      default:
        return acquired satisfies never;
    }
  }

  async #claim(call: WantedCall, grant: HeldGrant): Promise<StoredRequest | 'changed' | 'unrecorded' | 'late'> {
    const { clock, ended, log, account } = this.options;
    try {
      const waitMs = grant.notBeforeMonoMs - clock.monotonicMs();
      if (waitMs > 0) await clock.sleep(waitMs, ended);
      if (ended.aborted) return 'changed';
      if (clock.monotonicMs() > grant.validUntilMonoMs) return 'late';
      const underWayForMs = this.#underWayUntilMonoMs(grant) - clock.monotonicMs();
      return (await call.claim(grant, underWayForMs)) ?? 'changed';
    } catch (error) {
      if (ended.aborted) return 'changed';
      log.warn('a claim could not be stored', { account, kind: call.kind, callId: call.callId, error });
      return 'unrecorded';
    }
  }

  /** The last instant at which the CRM may still be at work on the call, as far as this side can tell. */
  #underWayUntilMonoMs(grant: HeldGrant): number {
    return grant.validUntilMonoMs + this.options.requestTimeoutMs;
  }

  async #send(request: StoredRequest, grant: HeldGrant): Promise<CrmAnswer> {
    const { crm, ended, requestTimeoutMs, clock, log, account } = this.options;
    if (ended.aborted) return { answer: 'lost', reason: 'too_late', maybeArrived: false, sentAtMonoMs: null };
    try {
      return await crm.send(request, { notAfterMonoMs: grant.validUntilMonoMs, timeoutMs: requestTimeoutMs });
    } catch (error) {
      // It never does; if it did, bytes may have left, and what was claimed must not stay without an answer.
      log.error('the door to the CRM broke', { account, error });
      return { answer: 'lost', reason: 'connection_lost', maybeArrived: true, sentAtMonoMs: clock.monotonicMs() };
    }
  }

  /** Also moves the gate: what the answer says of the CRM as a whole. */
  #judge(call: WantedCall, answer: CrmAnswer, underWayForMs: number): MadeCall {
    const nowMs = this.options.clock.monotonicMs();
    if (answer.answer === 'lost') {
      // Too much of an answer is an answer all the same: it says nothing against the CRM.
      const own = !isFailing(this.#gate) || answer.reason === 'answer_too_large';
      this.#moveGateForLost(call.kind, answer.reason, nowMs);
      if (!answer.maybeArrived) return { made: 'unsent', reason: answer.reason };
      return { made: 'lost', reason: answer.reason, own, underWayForMs };
    }
    this.#lateInARow = 0;
    const toldMs = Date.parse(answer.response.headers['date'] ?? '');
    if (!Number.isNaN(toldMs)) this.#crmTime = { atMs: toldMs, monoMs: answer.answeredAtMonoMs };
    const verdict = judgeResponse(answer.response, call.effect);
    const ofTicket = this.#limitOfOneTicket(verdict);
    if (ofTicket)
      return {
        made: 'answered',
        response: answer.response,
        raw: answer.raw,
        verdict: ofTicket,
        own: false,
        underWayForMs,
      };
    const own = !isFailing(this.#gate);
    this.#moveGate(call.kind, verdict, nowMs);
    return { made: 'answered', response: answer.response, raw: answer.raw, verdict, own, underWayForMs };
  }

  #moveGateForLost(kind: CallKind, reason: Extract<CrmAnswer, { answer: 'lost' }>['reason'], nowMs: number): void {
    switch (reason) {
      case 'too_late':
        this.#tooLate(kind, nowMs);
        return;
      case 'answer_too_large':
        this.#gate = opened(this.#gate);
        return;
      case 'credential_unavailable':
        this.#gate = closed(this.#gate, nowMs + CREDENTIAL_PROBE_MS / this.options.timeScale, reason);
        return;
      case 'not_connected':
      case 'timeout':
      case 'connection_lost':
        this.#failed(nowMs, null);
        return;
      default:
        reason satisfies never;
    }
  }

  /** Permission was too old when it was to be used: this process or its store is slow, and asking at once makes it no faster. */
  #tooLate(kind: CallKind, nowMs: number): void {
    this.#lateInARow += 1;
    const waitMs = Math.min(FIRST_LATE_WAIT_MS * 2 ** (this.#lateInARow - 1), LONGEST_LATE_WAIT_MS);
    this.#gate = closedKinds(this.#gate, [kind], nowMs + waitMs);
  }

  /** A limit counted for each ticket or user holds back that one alone: its write waits, at no cost to itself or others. */
  #limitOfOneTicket(verdict: Verdict): Verdict | null {
    if (verdict.verdict !== 'waitForLimit' || verdict.name === null) return null;
    const header = `zendesk-ratelimit-${verdict.name}`;
    const limit = this.options.limits.limits.find(({ headers }) => headers.combined.includes(header));
    if (limit?.scope !== 'ticket' && limit?.scope !== 'user') return null;
    return { verdict: 'retryAfter', waitMs: verdict.waitMs, code: 'limit_of_ticket' };
  }

  #moveGate(kind: CallKind, verdict: Verdict, nowMs: number): void {
    const { timeScale } = this.options;
    switch (verdict.verdict) {
      case 'waitForLimit': {
        const untilMs = nowMs + (verdict.waitMs ?? DEFAULT_WAIT_MS[verdict.limit]) / timeScale;
        if (verdict.limit === 'edge') this.#gate = closed(this.#gate, untilMs, 'edge_protection');
        else this.#gate = closedKinds(opened(this.#gate), kindsOf(verdict.limit, kind), untilMs);
        return;
      }
      case 'pauseAccount':
        this.#gate = closed(this.#gate, nowMs + CREDENTIAL_PROBE_MS / timeScale, verdict.code);
        return;
      case 'unknown':
        // A well CRM says so; only what became of this one write is in doubt.
        if (verdict.code === 'idempotency_mismatch') this.#gate = opened(this.#gate);
        else this.#failed(nowMs, verdict.waitMs);
        return;
      case 'retryAfter':
        if (verdict.code === 'conflict') this.#gate = opened(this.#gate);
        else this.#failed(nowMs, verdict.waitMs);
        return;
      case 'done':
      case 'followUp':
      case 'duplicate':
        this.#gate = opened(this.#gate);
        return;
      case 'park':
        this.#gate = opened(this.#gate);
        // What the credential may not do with users isn't one contact's own: it is tried again after a while.
        if (verdict.code === 'crm_forbidden' && kind.startsWith('users.'))
          this.#gate = closedKinds(this.#gate, [kind], nowMs + CREDENTIAL_PROBE_MS / timeScale);
        return;
      default:
        return verdict satisfies never;
    }
  }

  #failed(nowMs: number, waitMs: number | null): void {
    const { timeScale, random } = this.options;
    const toldWaitMs = waitMs === null ? null : waitMs / timeScale;
    this.#gate = failed(this.#gate, { nowMs, toldWaitMs, timeScale, random: random() });
  }

  /** False where it could not be stored: then the call stays as sent, and is asked about later. */
  async #record(call: WantedCall, made: MadeCall): Promise<boolean> {
    const { clock, ended, log, account } = this.options;
    for (let tries = 1; tries <= MAX_RECORD_TRIES; tries += 1) {
      try {
        await call.record(made);
        return true;
      } catch (error) {
        log.warn('an answer could not be stored yet', { account, kind: call.kind, callId: call.callId, tries, error });
        if (ended.aborted) return false;
        await clock.sleep(Math.min(100 * 2 ** tries, RECORD_RETRY_MOST_MS), ended).catch(() => undefined);
      }
    }
    return false;
  }

  async #settle(call: WantedCall, grant: HeldGrant, answer: CrmAnswer): Promise<void> {
    const { quota, account } = this.options;
    const settlement: Settlement =
      answer.answer === 'answered'
        ? { settled: 'used', sentAtMonoMs: answer.sentAtMonoMs, answeredAtMonoMs: answer.answeredAtMonoMs }
        : answer.maybeArrived && answer.sentAtMonoMs !== null
          ? { settled: 'used', sentAtMonoMs: answer.sentAtMonoMs, answeredAtMonoMs: null }
          : { settled: 'returned' };
    if (answer.answer === 'answered') {
      const { status, headers } = answer.response;
      const refusal = status === 429 ? Buffer.from(answer.raw).toString('utf8', 0, REFUSAL_TEXT_BYTES) : null;
      const observed = { grantId: grant.grantId, kind: call.kind, status, headers, refusal };
      await quota.observe(account, { ...observed, answeredAtMonoMs: answer.answeredAtMonoMs });
    }
    await quota.settle(account, grant.grantId, settlement);
  }

  /** The one wide line of an attempt. */
  #logAttempt(call: WantedCall, grant: HeldGrant, answer: CrmAnswer, made: MadeCall, begunMonoMs: number): void {
    const nowMs = this.options.clock.monotonicMs();
    const sentMs = answer.sentAtMonoMs;
    const verdict = made.made === 'answered' ? made.verdict : null;
    const fields = {
      account: this.options.account,
      callId: call.callId,
      kind: call.kind,
      priority: call.priority,
      grantId: grant.grantId,
      ...call.about,
      status: answer.answer === 'answered' ? answer.response.status : null,
      verdict: verdict?.verdict ?? made.made,
      code: verdict ? codeOf(verdict) : answer.answer === 'lost' ? answer.reason : null,
      crmRequestId: answer.answer === 'answered' ? (answer.response.headers['x-request-id'] ?? null) : null,
      waitedMs: sentMs === null ? null : Math.round(sentMs - begunMonoMs),
      tookMs: sentMs === null ? null : Math.round(nowMs - sentMs),
    };
    const { log, account } = this.options;
    callsMade.inc({ account, kind: call.kind, verdict: fields.verdict });
    if (sentMs !== null) callSeconds.observe({ account, kind: call.kind }, (nowMs - sentMs) / 1000);
    if (verdict?.verdict === 'done') log.info('crm call', fields);
    else log.warn('crm call', fields);
  }
}

function isFailure(made: MadeCall): boolean {
  if (made.made !== 'answered') return true;
  return made.verdict.verdict === 'unknown' || made.verdict.verdict === 'retryAfter';
}

function kindsOf(limit: 'account' | 'endpoint' | 'jobs', kind: CallKind): readonly CallKind[] {
  if (limit === 'account') return CALL_KINDS;
  return limit === 'jobs' ? ['tickets.create_many', 'tickets.update_many'] : [kind];
}

function codeOf(verdict: Verdict): string | null {
  if ('code' in verdict) return verdict.code;
  return verdict.verdict === 'waitForLimit' ? `limit_${verdict.limit}` : null;
}
