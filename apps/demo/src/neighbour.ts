import type { NatsConnection } from '@nats-io/transport-node';
import { Pool } from 'undici';
import type { Clock, NewId } from '#clock';
import { type AcquireAnswer, type AcquireRequest, type Granted, type SettleRequest, subjects } from '#contracts';
import { ACCOUNT, CRM_EMAIL, NEIGHBOUR } from './accounts.js';

const CALLS_AT_ONCE = 5;
const PAUSE_MS = 180;
const ANSWER_WITHIN_MS = 3_000;
const LONGEST_RETRY_MS = 2_000;

/** What another integration of the same CRM went through. */
export interface NeighbourTotals {
  calls: number;
  /** How often the ledger said "not now". */
  refusals: number;
}

/**
 * Another application with the same CRM licence: reads tickets in small portions, each under a grant that it asks of the
 * ledger over NATS, as docs/protocol.md tells a stranger to do it.
 */
export class Neighbour {
  readonly totals: NeighbourTotals = { calls: 0, refusals: 0 };
  readonly #pool: Pool;
  readonly #authorization: string;

  constructor(
    private readonly nc: NatsConnection,
    crmUrl: string,
    crmToken: string,
    private readonly clock: Clock,
    private readonly newId: NewId,
  ) {
    this.#pool = new Pool(crmUrl, { connections: CALLS_AT_ONCE });
    this.#authorization = `Basic ${Buffer.from(`${CRM_EMAIL}/token:${crmToken}`).toString('base64')}`;
  }

  /** Goes on until it is told to stop; a grant under way is still settled. */
  async run(stopping: AbortSignal): Promise<void> {
    while (!stopping.aborted) {
      const pauseMs = await this.#portion();
      await this.clock.sleep(pauseMs, stopping).catch(() => undefined);
    }
    await this.#pool.destroy();
  }

  /** One grant's worth of calls; returns how long to wait before the next. */
  async #portion(): Promise<number> {
    const askedAtMs = this.clock.monotonicMs();
    const answer = await this.#ask<AcquireAnswer>('acquire', {
      requestId: this.newId(),
      kind: 'tickets.list',
      calls: { min: 1, max: CALLS_AT_ONCE },
      priority: 'normal',
      waitMs: 0,
    } satisfies AcquireRequest);
    if (answer === null) return PAUSE_MS;
    switch (answer.answer) {
      case 'granted':
        await this.#use(answer, askedAtMs + answer.validForMs);
        return PAUSE_MS;
      case 'refused':
        this.totals.refusals += 1;
        return Math.min(answer.retryInMs, LONGEST_RETRY_MS);
      case 'unavailable':
        return answer.retryInMs;
      case 'rejected':
        throw new Error(`the ledger rejected the neighbour's request: ${answer.code}: ${answer.message}`);
      default:
        return answer satisfies never;
    }
  }

  async #use(grant: Granted, validUntilMs: number): Promise<void> {
    if (grant.sendInMs > 0) await this.clock.sleep(grant.sendInMs);
    const made = await Promise.all(Array.from({ length: grant.calls }, () => this.#call(validUntilMs)));
    const used = made.filter((call) => call !== null);
    this.totals.calls += used.length;
    const nowMs = this.clock.monotonicMs();
    await this.#ask('settle', {
      requestId: this.newId(),
      grantId: grant.grantId,
      used: used.map(({ sentMs, answeredMs }) => ({
        sentAgoMs: nowMs - sentMs,
        answeredAgoMs: answeredMs === null ? null : nowMs - answeredMs,
      })),
      returned: grant.calls - used.length,
    } satisfies SettleRequest);
  }

  /** Null where the grant was no longer valid, so that the call was not made. */
  async #call(validUntilMs: number): Promise<{ sentMs: number; answeredMs: number | null } | null> {
    const sentMs = this.clock.monotonicMs();
    if (sentMs >= validUntilMs) return null;
    try {
      const { body } = await this.#pool.request({
        method: 'GET',
        path: '/api/v2/tickets?external_id=report',
        headers: { authorization: this.#authorization, 'x-simulator-caller': NEIGHBOUR },
      });
      await body.dump();
      return { sentMs, answeredMs: this.clock.monotonicMs() };
    } catch {
      return { sentMs, answeredMs: null };
    }
  }

  /** Null where the ledger doesn't answer: then nothing may be called. */
  async #ask<T>(verb: 'acquire' | 'settle', request: AcquireRequest | SettleRequest): Promise<T | null> {
    try {
      const message = await this.nc.request(subjects.quota(ACCOUNT, NEIGHBOUR, verb), JSON.stringify(request), {
        timeout: ANSWER_WITHIN_MS,
      });
      return message.json<T>();
    } catch {
      return null;
    }
  }
}
