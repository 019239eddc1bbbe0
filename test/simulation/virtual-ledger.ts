import {
  parseAcquire,
  parseObserve,
  parseRelease,
  parseSettle,
} from '../../apps/quota-ledger/src/domain/parse-requests.js';
import { partitionOf } from '../../apps/quota-ledger/src/domain/partition.js';
import { type QuotaAnswer, QuotaHandler, type QuotaRequest } from '../../apps/quota-ledger/src/quota.handler.js';
import { SimulatedLedgerStore, SimulatedTables } from '../../apps/quota-ledger/src/simulated.ledger-store.js';
import type { NatsConnection } from '@nats-io/transport-node';
import type { AccountConfig, Parsed } from '#contracts';
import { silentLog } from '#telemetry';
import type { Random } from '../../apps/zendesk-simulator/src/domain/random.js';
import type { VirtualTime } from './virtual-time.js';

/** One way between a client and the ledger, ms; a commit in between. */
const NETWORK = { leastMs: 0.3, spreadMs: 1.2 } as const;
const COMMIT = { leastMs: 1, spreadMs: 4 } as const;
/** How often it is looked for grants that nobody settled. */
const EXPIRY_LOOK_MS = 1_000;
const CHECKPOINT_MS = 60_000;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** What a client of the ledger needs of its connection. */
export type Line = Pick<NatsConnection, 'request'>;

/** The real ledger in virtual time: its handler and its parsers, over tables in memory, behind a line as NATS would be. */
export class VirtualLedger {
  readonly #handler: QuotaHandler;
  readonly #tables = new SimulatedTables();

  constructor(
    private readonly time: VirtualTime,
    private readonly random: Random,
  ) {
    this.#handler = new QuotaHandler(time.clock, silentLog);
  }

  /** Takes an account in and decides from now on, for as long as the world goes on. */
  async begin(config: AccountConfig): Promise<void> {
    const { clock } = this.time;
    const store = new SimulatedLedgerStore(this.#tables, { nowMs: () => clock.nowMs() });
    const partition = partitionOf(config.name);
    await store.addVersions([{ version: 1, origin: 'file', config }], 0);
    this.#handler.begin(store, clock.nowMs(), clock.monotonicMs());
    await this.#handler.useVersions(await store.versions(0));
    await this.#handler.adopt(partition, (await store.take(partition))!);
    this.#every(EXPIRY_LOOK_MS, () => this.#handler.expireDue());
    this.#every(CHECKPOINT_MS, () => void this.#checkpoint(partition));
  }

  /** The account's subjects as one of its integrations may ask them. */
  get line(): Line {
    return {
      request: async (subject, payload) => {
        const [, , account = '', integration = '', verb = ''] = subject.split('.');
        await this.#pause(NETWORK);
        const body = JSON.parse(typeof payload === 'string' ? payload : decoder.decode(payload)) as unknown;
        const answer = await this.#answer({ account, integration }, verb, body);
        await this.#pause(NETWORK);
        const data = encoder.encode(JSON.stringify(answer));
        return { data, json: () => JSON.parse(decoder.decode(data)) as never } as unknown as Awaited<
          ReturnType<Line['request']>
        >;
      },
    };
  }

  async #answer(asker: { account: string; integration: string }, verb: string, body: unknown): Promise<unknown> {
    const request = requestOf(verb, body);
    if (!request.ok) return { answer: 'rejected', code: 'invalid_request', message: request.reason };
    await this.#pause(COMMIT);
    const answer: QuotaAnswer = await this.time.outside(this.#handler.ask(asker, request.value));
    return answer;
  }

  #pause({ leastMs, spreadMs }: { readonly leastMs: number; readonly spreadMs: number }): Promise<void> {
    return this.time.clock.sleep(leastMs + this.random.next() * spreadMs);
  }

  #every(ms: number, duty: () => void): void {
    this.time.at(this.time.nowMs + ms, () => {
      duty();
      this.#every(ms, duty);
    });
  }

  /** Stores usage and books as the ledger's owner does, and forgets the journal of before. */
  async #checkpoint(partition: number): Promise<void> {
    await this.#handler.checkpoint(partition, true);
    const { journal } = this.#tables.partitions[partition]!;
    journal.splice(0, journal.length - 1);
  }
}

function requestOf(verb: string, body: unknown): Parsed<QuotaRequest> {
  switch (verb) {
    case 'acquire':
      return asRequest(parseAcquire(body), (read) => ({ verb, body: read }));
    case 'settle':
      return asRequest(parseSettle(body), (read) => ({ verb, body: read }));
    case 'release':
      return asRequest(parseRelease(body), (read) => ({ verb, body: read }));
    case 'observe':
      return asRequest(parseObserve(body), (read) => ({ verb, body: read }));
    default:
      return { ok: false, reason: `nobody answers ${verb}` };
  }
}

function asRequest<B>(parsed: Parsed<B>, toRequest: (body: B) => QuotaRequest): Parsed<QuotaRequest> {
  return parsed.ok ? { ok: true, value: toRequest(parsed.value) } : parsed;
}
