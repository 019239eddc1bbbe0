import type { NatsConnection } from '@nats-io/transport-node';
import { Pool } from 'undici';
import type { Clock, NewId } from '#clock';
import { type GrantedCall, QuotaClient } from '#quota-client';
import { ACCOUNT, CRM_EMAIL, NEIGHBOUR } from './accounts.js';

const CALLS_AT_ONCE = 5;
const PAUSE_MS = 180;
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
  readonly #quota: QuotaClient;
  readonly #pool: Pool;
  readonly #authorization: string;

  constructor(
    nc: NatsConnection,
    crmUrl: string,
    crmToken: string,
    private readonly clock: Clock,
    newId: NewId,
  ) {
    this.#quota = new QuotaClient({ account: ACCOUNT, integration: NEIGHBOUR, nc, clock, newId });
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
    const wanted = { kind: 'tickets.list', calls: { min: 1, max: CALLS_AT_ONCE }, atOnce: CALLS_AT_ONCE } as const;
    const ran = await this.#quota.withCalls(wanted, (call) => this.#read(call));
    switch (ran.answer) {
      case 'ran':
        this.totals.calls += ran.calls.filter(({ did }) => did !== 'returned').length;
        return PAUSE_MS;
      case 'refused':
        this.totals.refusals += 1;
        return Math.min(ran.retryInMs, LONGEST_RETRY_MS);
      case 'silent':
        return ran.retryInMs;
      case 'withdrawn':
        return PAUSE_MS;
      case 'rejected':
        throw new Error(`the ledger rejected the neighbour's request: ${ran.code}: ${ran.message}`);
      default:
        return ran satisfies never;
    }
  }

  async #read(call: GrantedCall): Promise<void> {
    if (!call.leave()) return;
    const { statusCode, headers, body } = await this.#pool.request({
      method: 'GET',
      path: '/api/v2/tickets?external_id=report',
      headers: { authorization: this.#authorization, 'x-simulator-caller': NEIGHBOUR },
    });
    call.answered({ status: statusCode, headers });
    await body.dump();
  }
}
