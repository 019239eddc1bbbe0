import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { DEFAULT_POLICY } from '#accounts';
import { systemClock } from '#clock';
import {
  type AccountConfig,
  type Command,
  encodeEnvelope,
  type InteractionEvent,
  parseCommand,
  subjects,
  DEFAULT_QUOTA_POLICY,
  DEFAULT_SHARE,
} from '#contracts';
import {
  type AccountDirectory,
  closeNats,
  connectNats,
  declareStream,
  publishAccount,
  StreamPublisher,
  watchAccounts,
} from '#jetstream';
import { HealthChecks, silentLog } from '#telemetry';
import { type TestNats, testNats } from '../../../test/support/servers.js';
import { until } from '../../../test/support/until.js';
import { eventOf } from '../test/sample-event.js';
import { CommandPublisher } from './command.publisher.js';
import { InteractionConsumer } from './interaction.consumer.js';
import { liquidRender } from './liquid-render.js';
import { PlanHandler } from './plan.handler.js';

const SIZES = { maxBytes: 33_554_432, maxAgeMs: 3_600_000, replicas: 1 };
const account = (name: string): AccountConfig => ({
  name,
  crm: {
    type: 'zendesk',
    baseUrl: 'http://127.0.0.1:1',
    credential: { kind: 'oauth', tokenRef: 'env:NONE' },
    licence: 'team',
    externalIdPrefix: 'ccai-',
    timeScale: 1,
    requestTimeoutMs: 1_000,
  },
  limits: [],
  batching: 'auto',
  quota: DEFAULT_QUOTA_POLICY,
  dryRun: false,
  integrations: { ccai: { ingest: null, trusted: true, share: DEFAULT_SHARE, quotaPasswordRef: null } },
  policy: DEFAULT_POLICY,
});

let nats: TestNats;
let nc: NatsConnection;
let stream: StreamPublisher;
let accounts: AccountDirectory;

beforeAll(async () => {
  nats = await testNats({ own: true });
  nc = await connectNats({ servers: nats.url, name: 'test' });
  for (const name of ['INTERACTIONS', 'COMMANDS', 'DEAD_LETTERS'] as const) await declareStream(nc, name, SIZES);
  await publishAccount(nc, { version: 3, config: account('demo') });
  accounts = watchAccounts(nc);
  await accounts.loaded;
  stream = new StreamPublisher(nc);
});
afterAll(async () => {
  await accounts?.stop();
  stream?.close();
  if (nc) await closeNats(nc);
  await nats?.stop();
});

/** One planner of its own, as a process would have it. */
async function startPlanner(bus = new CommandPublisher(stream)): Promise<InteractionConsumer> {
  const findPolicy = (name: string) => {
    const found = accounts.get(name);
    return found && { version: found.version, policy: found.config.policy, dryRun: found.config.dryRun };
  };
  const handler = new PlanHandler(bus, findPolicy, liquidRender(), systemClock, silentLog, 0);
  const consumer = new InteractionConsumer(nc, silentLog, handler, stream, new HealthChecks());
  await consumer.start(accounts, 50, new AbortController().signal);
  return consumer;
}

const store = (event: InteractionEvent, bytes = encodeEnvelope(event)) =>
  stream.publish(
    subjects.interaction(event.account, event.data.interactionId, event.type),
    bytes,
    `${event.account}:${event.id}`,
  );

async function countOf(name: string): Promise<number> {
  return (await (await jetstreamManager(nc)).streams.info(name)).state.messages;
}

async function commandAt(sequence: number): Promise<Command> {
  const message = await (await jetstreamManager(nc)).streams.getMessage('COMMANDS', { seq: sequence });
  const parsed = parseCommand(message!.data);
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.value;
}

async function pending(): Promise<number> {
  const { num_pending, num_ack_pending } = await (
    await jetstreamManager(nc)
  ).consumers.info('INTERACTIONS', 'command-planner');
  return num_pending + num_ack_pending;
}

describe('the command planner', () => {
  it('makes the commands of every event durable before it lets the event go', async () => {
    for (const name of ['started', 'routed', 'assigned', 'active', 'ended'] as const) await store(eventOf(name));
    const planner = await startPlanner();
    // One ticket, asked for three times, and one comment.
    await until('both commands are there', async () => (await countOf('COMMANDS')) === 2);
    await until('all events are let go', async () => (await pending()) === 0);
    await planner.stop();
    const ticket = await commandAt(1);
    expect(ticket).toMatchObject({ type: 'ensureTicket', account: 'demo', data: { policyVersion: 3 } });
    expect((await (await jetstreamManager(nc)).streams.getMessage('COMMANDS', { seq: 1 }))!.subject).toBe(
      `commands.v1.demo.${ticket.data.interactionId}.ensureTicket`,
    );
  });

  it('names the same commands when another planner plans the event again', async () => {
    const before = await countOf('COMMANDS');
    const broken = new (class extends CommandPublisher {
      override async store(command: Command): Promise<void> {
        await super.store(command);
        throw new Error('killed between the command and the event');
      }
    })(stream);
    const first = await startPlanner(broken);
    const event = eventOf('ended', { sessionId: 'again' }, { id: 'again' });
    await store(event);
    await until('the first has stored its commands', async () => (await countOf('COMMANDS')) === before + 2);
    await first.stop();
    expect(await pending()).toBe(1);
    const second = await startPlanner();
    await until('the event is let go', async () => (await pending()) === 0);
    await second.stop();
    expect(await countOf('COMMANDS')).toBe(before + 2);
  });

  it('puts aside what it cannot plan, and goes on', async () => {
    const before = await countOf('COMMANDS');
    const planner = await startPlanner();
    const unreadable = eventOf('ended', { sessionId: 'unreadable' }, { id: 'unreadable' });
    await store(unreadable, new TextEncoder().encode('{"id": 1}'));
    await store({ ...eventOf('ended', { sessionId: 'stranger' }, { id: 'stranger' }), account: 'stranger' });
    await store(eventOf('ended', { sessionId: 'good' }, { id: 'good' }));
    await until('both are put aside', async () => (await countOf('DEAD_LETTERS')) === 2);
    await until('the good one is planned', async () => (await countOf('COMMANDS')) === before + 2);
    await until('all events are let go', async () => (await pending()) === 0);
    await planner.stop();
    const letters = [];
    for (const seq of [1, 2])
      letters.push(await (await jetstreamManager(nc)).streams.getMessage('DEAD_LETTERS', { seq }));
    expect(letters.map((letter) => letter!.header.get('Sluice-Reason')).toSorted()).toEqual([
      'no interaction event: id is missing',
      'the account is not known',
    ]);
  });

  it('waits while the server is away, and loses nothing', async () => {
    const before = await countOf('COMMANDS');
    const planner = await startPlanner();
    await nats.kill9();
    await nats.restart();
    const event = eventOf('ended', { sessionId: 'afterwards' }, { id: 'afterwards' });
    await until('the event is stored', () =>
      store(event).then(
        () => true,
        () => false,
      ),
    );
    await until(
      'its commands are there',
      async () => (await countOf('COMMANDS').catch(() => 0)) === before + 2,
      15_000,
    );
    await planner.stop();
    expect(await countOf('COMMANDS')).toBe(before + 2);
  });
});
