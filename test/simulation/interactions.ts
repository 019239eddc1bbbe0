import {
  type Channel,
  type Contact,
  type InteractionEvent,
  type InteractionEventData,
  type InteractionEventName,
  interactionIdOf,
  SCHEMA_VERSION,
} from '#contracts';
import type { Random } from '../../apps/zendesk-simulator/src/domain/random.js';

/** One thing that will happen in an interaction. */
export interface Step {
  readonly name: InteractionEventName;
  /** Epoch ms. */
  readonly atMs: number;
  /** How often an agent was assigned before it, or by it. */
  readonly agents: number;
}

/** A call or chat with everything that will happen in it. */
export interface PlannedInteraction {
  readonly interactionId: string;
  readonly channel: Channel;
  readonly sessionId: string;
  readonly contact: Contact;
  readonly queuePath: string;
  /** Its customer was never heard of before. */
  readonly isNewCaller: boolean;
  readonly isAbandoned: boolean;
  readonly steps: readonly Step[];
  readonly endsAtMs: number;
}

/** The customers of an account. */
export interface Customers {
  /** Phone numbers known to the CRM and remembered from earlier days. */
  readonly known: number;
  /** Of those who call, the share that was never heard of, 0..1. */
  readonly newCallers: number;
}

const CALLS_SHARE = 0.7;
const CHATS_WITH_EMAIL_SHARE = 0.9;
const ABANDONED_SHARE = 0.08;
const TRANSFERRED_SHARE = 0.15;
const WRAPPED_UP_SHARE = 0.9;
const QUEUES = ['support/orders', 'support/returns', 'sales/new', 'billing/invoices'];
/** CCAI writes the session's metadata about a quarter of an hour after its end. */
const METADATA_AFTER_MS = 15 * 60_000;
/** A day's first new caller; numbers below are those of known customers. Area code 999 belongs to nobody. */
const FIRST_NEW_PHONE = 5_000_000;

/** Phone number of a known customer. */
export function knownPhone(customer: number): string {
  return phoneOf(customer);
}

/** Makes the interaction that begins at `startMs` (epoch ms): five to nine events, of a call or a chat. */
export function interactionOf(
  number: number,
  startMs: number,
  customers: Customers,
  random: Random,
): PlannedInteraction {
  const channel: Channel = random.next() < CALLS_SHARE ? 'call' : 'chat';
  const sessionId = String(100_000 + number);
  const isAbandoned = random.next() < ABANDONED_SHARE;
  const isNew = random.next() < customers.newCallers;
  const steps = isAbandoned ? abandonedSteps(startMs, random) : handledSteps(startMs, random);
  const contact = contactOf(channel, number, isNew ? null : Math.floor(random.next() * customers.known), random);
  return {
    interactionId: interactionIdOf(channel, sessionId),
    channel,
    sessionId,
    contact,
    queuePath: QUEUES[Math.floor(random.next() * QUEUES.length)]!,
    isNewCaller: isNew && contact.phone !== null,
    isAbandoned,
    steps,
    endsAtMs: steps.find(({ name }) => name === 'ended')!.atMs,
  };
}

/** Chats mostly come from signed-in customers whose mail address is known: their tickets need no look-up. */
function contactOf(channel: Channel, number: number, known: number | null, random: Random): Contact {
  const nobody = { phone: null, userId: null, email: null, name: null };
  if (channel === 'chat' && random.next() < CHATS_WITH_EMAIL_SHARE)
    return { ...nobody, email: `customer-${known ?? FIRST_NEW_PHONE + number}@example.com` };
  return { ...nobody, phone: phoneOf(known ?? FIRST_NEW_PHONE + number) };
}

function phoneOf(customer: number): string {
  return `+1999${String(customer).padStart(7, '0')}`;
}

/** The customer leaves before an agent is there: five events. */
function abandonedSteps(startMs: number, random: Random): Step[] {
  const steps = new Steps(startMs);
  steps
    .add('started', 0)
    .add('routed', 2_000 + random.next() * 8_000)
    .add('routed', 10_000 + random.next() * 30_000);
  steps.add('ended', 20_000 + random.next() * 100_000);
  return steps.add('metadata', METADATA_AFTER_MS).list;
}

/** An agent takes it, perhaps another after the first: six to nine events. */
function handledSteps(startMs: number, random: Random): Step[] {
  const steps = new Steps(startMs);
  steps.add('started', 0).add('routed', 2_000 + random.next() * 8_000);
  steps.add('assigned', 3_000 + expMs(random, 25_000)).add('active', 2_000 + random.next() * 4_000);
  if (random.next() < TRANSFERRED_SHARE) {
    steps.add('routed', 60_000 + expMs(random, 60_000));
    steps.add('assigned', 3_000 + expMs(random, 20_000));
  }
  steps.add('ended', 30_000 + expMs(random, 240_000));
  const wrappedUpInMs = 10_000 + expMs(random, 40_000);
  if (random.next() < WRAPPED_UP_SHARE) steps.add('dispositioned', wrappedUpInMs);
  return steps.add('metadata', METADATA_AFTER_MS).list;
}

function expMs(random: Random, meanMs: number): number {
  return Math.min(-Math.log(1 - random.next()), 6) * meanMs;
}

class Steps {
  readonly list: Step[] = [];
  #atMs: number;
  #agents = 0;

  constructor(startMs: number) {
    this.#atMs = startMs;
  }

  add(name: InteractionEventName, afterMs: number): this {
    this.#atMs += Math.max(1, Math.round(afterMs));
    if (name === 'assigned') this.#agents += 1;
    this.list.push({ name, atMs: this.#atMs, agents: this.#agents });
    return this;
  }
}

/** The event of a step, as ingest would have read it: sessions grow, so later ones repeat what earlier ones told. */
export function eventOf(account: string, interaction: PlannedInteraction, position: number): InteractionEvent {
  const { interactionId, channel, sessionId, contact, queuePath, isAbandoned, steps, endsAtMs } = interaction;
  const { name, atMs, agents } = steps[position]!;
  const id = `${interactionId}-${position}`;
  const isOver = atMs >= endsAtMs;
  const activeAtMs = steps.find((step) => step.name === 'active')?.atMs ?? null;
  const data: InteractionEventData = {
    interactionId,
    channel,
    sessionId,
    event: name,
    state: null,
    direction: 'incoming',
    sessionType: channel === 'call' ? 'Voice Inbound (IVR)' : 'Messaging (Web)',
    language: 'en',
    queuePath: position === 0 ? null : queuePath,
    contact,
    agent: agents === 0 ? null : { id: `7${agents}`, name: `Agent 7${agents}`, email: null, virtual: false },
    customerMessages: null,
    startedAt: steps[0]!.atMs,
    connectedAt: activeAtMs !== null && atMs >= activeAtMs ? activeAtMs : null,
    endedAt: isOver ? endsAtMs : null,
    waitSeconds: isOver && activeAtMs !== null ? Math.round((activeAtMs - steps[0]!.atMs) / 1_000) : null,
    callSeconds: isOver && activeAtMs !== null ? Math.round((endsAtMs - activeAtMs) / 1_000) : null,
    holdSeconds: null,
    recordingUrl: name === 'metadata' && !isAbandoned ? `https://recordings.example.com/${sessionId}` : null,
    transcriptUrl: null,
    rating: null,
    feedback: null,
    voicemail: false,
    abandoned: isAbandoned && isOver,
    dispositions: name === 'dispositioned' ? [{ code: 'resolved', customCodeId: null, note: null }] : [],
  };
  return {
    id,
    type: name,
    schemaVersion: SCHEMA_VERSION,
    account,
    occurredAt: atMs,
    recordedAt: atMs,
    causationId: id,
    traceparent: null,
    data,
  };
}
