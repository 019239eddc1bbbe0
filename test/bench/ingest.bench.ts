import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { Pool } from 'undici';
import { canSyncAlways, natsServerConfig, natsUsers, parseAccounts } from '#accounts';
import { encodeEnvelope, type InteractionEventName, subjects } from '#contracts';
import { type EmbeddedNats, ensureNatsServer, startApp, startNats } from '#embedded';
import { closeNats, connectNats, publishAccount, StreamPublisher } from '#jetstream';
import { readEvent } from '../../apps/ingest/src/domain/read-event.js';
import type { BenchOptions, BenchResult } from './bench.js';

/** Events in one envelope, and envelopes on their way at once: their product is what every way has in flight. */
const EVENTS_PER_ENVELOPE = 20;
const ENVELOPES_AT_ONCE = 16;
const IN_FLIGHT = EVENTS_PER_ENVELOPE * ENVELOPES_AT_ONCE;
/** Short rounds, many of them: a disturbance of the machine then hits all ways alike. */
const ROUNDS = 10;
const ROUND_MS = 1_000;
const QUICK_ROUND_MS = 700;
/** A fresh process runs slowly until its code is compiled; what counts here is a service that has been up for a while. */
const WARM_UP_MS = 4_000;
const SETTLE_MS = 5_000;

const ACCOUNTS = `accounts:
  bench:
    crm: { type: zendesk, baseUrl: 'http://127.0.0.1:1', licence: team, credential: { kind: oauth, tokenRef: 'env:NONE' } }
    integrations:
      ccai: { ingest: { username: ccai, passwordRef: 'env:BENCH_PASSWORD' }, trusted: true }
`;

/** One way of making events durable: sends until the time is up, says how many were acknowledged. */
type Way = (untilMs: number) => Promise<number>;

/**
 * Events made durable per second through ingest's doors, beside a bare JetStream publish of the same messages with as
 * many in flight. All ways take turns in the same run on the same server, as one machine's speed changes from minute to
 * minute; what counts is all events over all rounds. The ceiling is the NATS client's own JetStream publish. Sluice's publisher is
 * faster than that, and is shown beside it: what ingest adds is read off against both. Sender, ingest and server share
 * the machine, the ceiling has it without ingest: on two cores that alone costs.
 */
export async function run({ quick, say, signal }: BenchOptions): Promise<BenchResult> {
  const field = await Field.open(say);
  try {
    const ways: Readonly<Record<string, Way>> = {
      ceilingOfClient: (untilMs) => field.publishByClient(untilMs),
      ceilingOfSluice: (untilMs) => field.publishBare(untilMs),
      http: (untilMs) => field.postEnvelopes(untilMs, EVENTS_PER_ENVELOPE, ENVELOPES_AT_ONCE),
      nats: (untilMs) => field.requestEnvelopes(untilMs, EVENTS_PER_ENVELOPE, ENVELOPES_AT_ONCE),
      httpSingle: (untilMs) => field.postEnvelopes(untilMs, 1, IN_FLIGHT),
      natsSingle: (untilMs) => field.requestEnvelopes(untilMs, 1, IN_FLIGHT),
    };
    const rates = await measureAll(ways, field, { quick, say, signal });
    const ratio = (name: string, ceiling = 'ceilingOfClient') =>
      Math.round((rates[name]! / rates[ceiling]!) * 1_000) / 1_000;
    return {
      bench: 'ingest',
      httpEventsPerSecond: rates['http'],
      natsEventsPerSecond: rates['nats'],
      publishCeilingPerSecond: rates['ceilingOfClient'],
      ratioHttp: ratio('http'),
      ratioNats: ratio('nats'),
      eventsPerEnvelope: EVENTS_PER_ENVELOPE,
      eventsInFlight: IN_FLIGHT,
      singleEventBodies: {
        httpEventsPerSecond: rates['httpSingle'],
        natsEventsPerSecond: rates['natsSingle'],
        ratioHttp: ratio('httpSingle'),
        ratioNats: ratio('natsSingle'),
      },
      besideSluicePublisher: {
        publishPerSecond: rates['ceilingOfSluice'],
        ratioHttp: ratio('http', 'ceilingOfSluice'),
        ratioNats: ratio('nats', 'ceilingOfSluice'),
      },
      storedEvents: field.storedEvents,
      natsServerVersion: field.serverVersion,
      syncAlways: field.syncAlways,
      nodeVersion: process.version,
    };
  } finally {
    await field.close();
  }
}

async function measureAll(
  ways: Readonly<Record<string, Way>>,
  field: Field,
  { quick, say, signal }: Omit<BenchOptions, 'given'>,
): Promise<Readonly<Record<string, number>>> {
  const roundMs = quick ? QUICK_ROUND_MS : ROUND_MS;
  for (const way of Object.values(ways)) await way(performance.now() + (quick ? QUICK_ROUND_MS : WARM_UP_MS));
  const measured = new Map<string, { readonly events: number; readonly tookMs: number }>();
  for (let round = 0; round < (quick ? 1 : ROUNDS); round += 1) {
    for (const [name, way] of Object.entries(ways)) {
      signal.throwIfAborted();
      const before = await field.settled();
      const cpuBefore = await field.ingestCpuSeconds();
      const startedMs = performance.now();
      const events = await way(startedMs + roundMs);
      const tookMs = performance.now() - startedMs;
      const cpuMicros = Math.round((((await field.ingestCpuSeconds()) - cpuBefore) / events) * 1e6);
      const stored = (await field.settled()) - before;
      // Acknowledged, but not there: then no rate is worth anything.
      if (stored !== events) throw new Error(`${name}: ${events} events acknowledged, ${stored} stored`);
      const sofar = measured.get(name) ?? { events: 0, tookMs: 0 };
      measured.set(name, { events: sofar.events + events, tookMs: sofar.tookMs + tookMs });
      const perSecond = Math.round((events / tookMs) * 1_000);
      say(
        `round ${round + 1}  ${name.padEnd(16)} ${String(perSecond).padStart(7)} events/s, ${cpuMicros} µs of ingest's CPU each`,
      );
    }
  }
  return Object.fromEntries(
    [...measured].map(([name, { events, tookMs }]) => [name, Math.round((events / tookMs) * 1_000)]),
  );
}

/** A nats-server configured as Sluice ships it, ingest as a process of its own, and a sender beside them. */
class Field {
  #next = 0;
  storedEvents = 0;
  readonly #pool: Pool;
  readonly #authorization: string;
  readonly #publisher: StreamPublisher;

  private constructor(
    private readonly parts: {
      readonly closers: readonly (() => unknown)[];
      readonly nats: EmbeddedNats;
      readonly url: string;
      readonly writer: NatsConnection;
      readonly sender: NatsConnection;
      readonly password: string;
    },
  ) {
    this.#pool = new Pool(parts.url, { connections: IN_FLIGHT, pipelining: 1 });
    this.#authorization = `Basic ${Buffer.from(`ccai:${parts.password}`).toString('base64')}`;
    this.#publisher = new StreamPublisher(parts.writer, { maxInFlight: IN_FLIGHT });
  }

  static async open(say: (line: string) => void): Promise<Field> {
    const closers: (() => unknown)[] = [];
    try {
      return await Field.#open(say, closers);
    } catch (error) {
      for (const close of closers.toReversed()) await close();
      throw error;
    }
  }

  /** Whatever is started is put on `closers` at once, so that nothing outlives a failure halfway. */
  static async #open(say: (line: string) => void, closers: (() => unknown)[]): Promise<Field> {
    const program = ensureNatsServer({ say });
    const directory = mkdtempSync(path.join(tmpdir(), 'sluice-bench-'));
    closers.push(() => rmSync(directory, { recursive: true, force: true, maxRetries: 5 }));
    const parsed = parseAccounts(ACCOUNTS);
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
    const { accounts } = parsed;
    const secret = () => randomBytes(12).toString('hex');
    const users = natsUsers(accounts);
    const passwords = Object.fromEntries(users.map(({ user }) => [user, secret()]));
    const password = secret();
    say(`nats-server ${program.version}, ingest, and a sender on one machine`);
    const nats = await startNats({
      storeDir: path.join(directory, 'nats'),
      program,
      config: (needs) => natsServerConfig({ ...needs, accounts, passwords, host: '127.0.0.1', syncAlways: true }),
    });
    closers.push(() => nats.stop());
    const connection = async (user: string): Promise<NatsConnection> => {
      const inboxPrefix = users.find((each) => each.user === user)!.inboxPrefix;
      const nc = await connectNats({ servers: nats.url, user, password: passwords[user]!, name: 'bench', inboxPrefix });
      closers.push(() => closeNats(nc));
      return nc;
    };
    await publishAccount(await connection('quota-ledger'), { version: 1, config: accounts[0]! });
    const ingest = await startApp({
      app: 'ingest',
      logFile: path.join(directory, 'ingest.log'),
      env: {
        NATS_URL: nats.url,
        NATS_USER: 'ingest',
        NATS_PASSWORD: passwords['ingest']!,
        BENCH_PASSWORD: password,
        STREAM_MAX_BYTES: String(8 * 1024 ** 3),
        LOG_LEVEL: 'warn',
      },
    });
    closers.push(() => ingest.stop());
    // The ceiling publishes as ingest, since only it may: with the same rights, on the same subjects.
    const [writer, sender] = [await connection('ingest'), await connection('bench.ccai')];
    return new Field({ closers, nats, url: ingest.url, writer, sender, password });
  }

  get serverVersion(): string {
    return this.parts.nats.version;
  }

  get syncAlways(): boolean {
    return canSyncAlways(this.parts.nats.version);
  }

  async close(): Promise<void> {
    await this.#pool.close();
    this.#publisher.close();
    for (const close of this.parts.closers.toReversed()) await close();
  }

  /** Messages in the stream. */
  async settled(): Promise<number> {
    const manager = await jetstreamManager(this.parts.writer, { timeout: SETTLE_MS, checkAPI: false });
    this.storedEvents = (await manager.streams.info('INTERACTIONS')).state.messages;
    return this.storedEvents;
  }

  /** Seconds of CPU that the ingest process has used so far, by its own account. */
  async ingestCpuSeconds(): Promise<number> {
    const { body } = await this.#pool.request({ path: '/metrics', method: 'GET' });
    return Number(/^process_cpu_seconds_total ([\d.e+-]+)/m.exec(await body.text())?.[1] ?? 0);
  }

  async publishByClient(untilMs: number): Promise<number> {
    const client = jetstream(this.parts.writer);
    return inParallel(IN_FLIGHT, untilMs, async () => {
      const { subject, bytes, msgId } = this.#message();
      await client.publish(subject, bytes, { msgID: msgId });
      return 1;
    });
  }

  async publishBare(untilMs: number): Promise<number> {
    return inParallel(IN_FLIGHT, untilMs, async () => {
      const { subject, bytes, msgId } = this.#message();
      await this.#publisher.publish(subject, bytes, msgId);
      return 1;
    });
  }

  async postEnvelopes(untilMs: number, events: number, atOnce: number): Promise<number> {
    return inParallel(atOnce, untilMs, async () => {
      const { statusCode, body } = await this.#pool.request({
        path: '/v1/bench/ccai/calls',
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: this.#authorization },
        body: this.#envelope(events),
      });
      const text = await body.text();
      if (statusCode !== 202) throw new Error(`HTTP ${statusCode}: ${text}`);
      return acceptedIn(text, events);
    });
  }

  async requestEnvelopes(untilMs: number, events: number, atOnce: number): Promise<number> {
    return inParallel(atOnce, untilMs, async () => {
      const subject = subjects.ingest('bench', 'ccai', 'calls');
      const answer = await this.parts.sender.request(subject, this.#envelope(events), { timeout: 10_000 });
      return acceptedIn(answer.string(), events);
    });
  }

  #envelope(count: number): string {
    const events = Array.from({ length: count }, () => this.#event());
    return JSON.stringify({ count, events });
  }

  /** What ingest stores of an event; the bytes are made once, as at the ceiling only the publishing counts. */
  #message(): { readonly subject: string; readonly bytes: Uint8Array; readonly msgId: string } {
    this.#sample ??= this.#readSample();
    const id = this.#id();
    const subject = subjects.interaction('bench', `call-${this.#next}`, this.#sample.type);
    return { subject, bytes: this.#sample.bytes, msgId: `bench:${id}` };
  }

  #sample: { readonly type: InteractionEventName; readonly bytes: Uint8Array } | null = null;

  #readSample(): { readonly type: InteractionEventName; readonly bytes: Uint8Array } {
    const receivedAt = Date.now();
    const read = readEvent(this.#event(), { account: 'bench', feed: 'calls', receivedAt, traceparent: null });
    if (!read.ok) throw new Error(read.code);
    return { type: read.event.type, bytes: encodeEnvelope(read.event) };
  }

  #id(): string {
    this.#next += 1;
    return `b77be14d-2953-4091-8a63-${this.#next.toString(16).padStart(12, '0')}`;
  }

  /** An event as CCAI sends it when a call is assigned: about 700 bytes. */
  #event(): object {
    const event_id = this.#id();
    return {
      event_id,
      timestamp: Date.now(),
      connected_at: null,
      ends_at: null,
      initiator: 'agent_7',
      item: {
        call_id: this.#next,
        state: 'connected',
        direction: 'incoming',
        session_type_v2: 'Voice Inbound (IVR)',
        language: 'en',
        initiator: '+12025550147',
        support_number: null,
        queue_path_ids: '1/2/3',
        queue_path_names: 'support/orders/status',
        participants: [
          { type: 'external', state: 'connected', dn: '+12025550147' },
          { type: 'agent', state: 'accepted', id: 7, name: 'Agent 7', email: 'agent-7@example.com' },
        ],
      },
    };
  }
}

/** Keeps `atOnce` pieces of work going until the time is up and all are done; returns the sum of what they gave. */
async function inParallel(atOnce: number, untilMs: number, work: () => Promise<number>): Promise<number> {
  let sum = 0;
  const lane = async (): Promise<void> => {
    while (performance.now() < untilMs) {
      const done = await work();
      sum += done;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  return sum;
}

function acceptedIn(answer: string, expected: number): number {
  const { accepted } = JSON.parse(answer) as { readonly accepted?: number };
  if (accepted !== expected) throw new Error(`not all accepted: ${answer.slice(0, 500)}`);
  return accepted;
}
