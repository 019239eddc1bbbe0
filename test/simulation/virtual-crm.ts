import type { StoredRequest } from '../../apps/crm-writer/src/write.store.js';
import type { Crm, CrmAnswer, Sending } from '../../apps/crm-writer/src/zendesk/crm.js';
import { bodyOf } from '../../apps/crm-writer/src/zendesk/undici-crm.js';
import type { Reply } from '../../apps/zendesk-simulator/src/domain/exchange.js';
import type { Random } from '../../apps/zendesk-simulator/src/domain/random.js';
import type { Simulator } from '../../apps/zendesk-simulator/src/domain/simulator.js';
import type { VirtualTime } from './virtual-time.js';

/** One way between this side and the CRM's, ms. */
const NETWORK = { leastMs: 10, spreadMs: 40 } as const;
const AUTHORIZATION = `Basic ${btoa('sluice@example.com/token:secret')}`;

const decoder = new TextDecoder();

/** The writer's door to the simulated CRM: the network takes its time there and back, the CRM as long as the simulator says. */
export class VirtualCrm implements Crm {
  constructor(
    private readonly parts: {
      readonly time: VirtualTime;
      readonly simulator: Simulator;
      readonly random: Random;
      /** As whom the CRM's books count the calls. */
      readonly caller: string;
    },
  ) {}

  async send(request: StoredRequest, { notAfterMonoMs, timeoutMs }: Sending): Promise<CrmAnswer> {
    const { clock } = this.parts.time;
    const sentAtMonoMs = clock.monotonicMs();
    if (sentAtMonoMs > notAfterMonoMs)
      return { answer: 'lost', reason: 'too_late', maybeArrived: false, sentAtMonoMs: null };
    const reply = await this.#within(sentAtMonoMs + timeoutMs, request);
    if (reply?.kind !== 'answer')
      return { answer: 'lost', reason: reply ? 'connection_lost' : 'timeout', maybeArrived: true, sentAtMonoMs };
    const { status, headers, body } = reply;
    const raw = Buffer.from(body);
    const response = { status, headers, body: bodyOf(raw, headers['content-type']) };
    return { answer: 'answered', response, raw, sentAtMonoMs, answeredAtMonoMs: clock.monotonicMs() };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** Null where no answer is there in time. */
  async #within(untilMonoMs: number, { method, path, body, idempotencyKey }: StoredRequest): Promise<Reply | null> {
    const { time, simulator, caller } = this.parts;
    const isInTime = async (ms: number): Promise<boolean> => {
      const leftMs = untilMonoMs - time.clock.monotonicMs();
      await time.clock.sleep(Math.min(ms, leftMs));
      return ms < leftMs;
    };
    if (!(await isInTime(this.#networkMs()))) return null;
    const exchange = simulator.submit(
      {
        method,
        url: path,
        headers: {
          authorization: AUTHORIZATION,
          'content-type': 'application/json',
          'x-simulator-caller': caller,
          ...(idempotencyKey === null ? {} : { 'idempotency-key': idempotencyKey }),
        },
        ...(body === null ? {} : { body: decoder.decode(body) }),
      },
      time.clock.nowMs(),
    );
    for (;;) {
      if (!(await isInTime(Math.max(0, exchange.readyAtMs - time.nowMs)))) return null;
      const reply = simulator.collect(exchange, time.nowMs);
      if (reply?.kind === 'silence') await isInTime(Infinity);
      if (reply) return (await isInTime(this.#networkMs())) ? reply : null;
    }
  }

  #networkMs(): number {
    return NETWORK.leastMs + this.parts.random.next() * NETWORK.spreadMs;
  }
}
