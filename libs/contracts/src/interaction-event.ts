import { type Envelope, type Parsed, parseEnvelope } from './envelope.js';
import type { Channel } from './interaction-id.js';
import type { InteractionId } from './words.js';

/** What can happen to an interaction, in the order in which it normally does (their rank). */
export const INTERACTION_EVENTS = [
  'started',
  'routed',
  'assigned',
  'active',
  'ended',
  'dispositioned',
  'metadata',
] as const;
export type InteractionEventName = (typeof INTERACTION_EVENTS)[number];

/** Where an event stands in an interaction's normal order: breaks ties between equal times. */
export function rankOf(event: InteractionEventName): number {
  return INTERACTION_EVENTS.indexOf(event);
}

export interface Agent {
  readonly id: string | null;
  readonly name: string | null;
  readonly email: string | null;
  readonly virtual: boolean;
}

/** Who the customer is, as far as this event tells. `phone` is E.164; `userId` is CCAI's end user (`end_user_5`). */
export interface Contact {
  readonly phone: string | null;
  readonly userId: string | null;
  readonly email: string | null;
  readonly name: string | null;
}

export interface Disposition {
  readonly code: string | null;
  readonly customCodeId: string | null;
  readonly note: string | null;
}

/**
 * One thing that happened, in our own words; every field is what *this* event tells (null = it doesn't say).
 * Sessions grow at every step, so a later event usually repeats what earlier ones said: that is what makes gaps harmless.
 */
export interface InteractionEventData {
  readonly interactionId: InteractionId;
  readonly channel: Channel;
  /** The id as the source spelled it, for people. */
  readonly sessionId: string;
  readonly event: InteractionEventName;
  /** CCAI's own word for the state, where given (`ringing`, `waiting`, `finished`, …). */
  readonly state: string | null;
  readonly direction: 'incoming' | 'outgoing' | null;
  /** `voice inbound (IVR)`, `In-web`, … as the source says it. */
  readonly sessionType: string | null;
  readonly language: string | null;
  readonly queuePath: string | null;
  readonly contact: Contact;
  readonly agent: Agent | null;
  /** Customer messages so far in a chat, where the source counts them. */
  readonly customerMessages: number | null;
  readonly startedAt: number | null;
  readonly connectedAt: number | null;
  readonly endedAt: number | null;
  readonly waitSeconds: number | null;
  readonly callSeconds: number | null;
  readonly holdSeconds: number | null;
  readonly recordingUrl: string | null;
  readonly transcriptUrl: string | null;
  readonly rating: number | null;
  readonly feedback: string | null;
  readonly voicemail: boolean;
  /** True where the customer left before any human agent connected, as far as this event knows. */
  readonly abandoned: boolean;
  readonly dispositions: readonly Disposition[];
}

export type InteractionEvent = Envelope<InteractionEventName, InteractionEventData>;

/** Bytes of INTERACTIONS to an event; a named reason where they aren't one. */
export function parseInteractionEvent(bytes: Uint8Array): Parsed<InteractionEvent> {
  return parseEnvelope(bytes, INTERACTION_EVENTS, (type, data) => {
    if (typeof data !== 'object' || data === null) return { ok: false, reason: 'data is missing' };
    const event = data as InteractionEventData;
    if (typeof event.interactionId !== 'string' || event.interactionId === '')
      return { ok: false, reason: 'data.interactionId is missing' };
    if (event.channel !== 'call' && event.channel !== 'chat') return { ok: false, reason: 'data.channel is wrong' };
    if (event.event !== type) return { ok: false, reason: 'data.event differs from type' };
    if (typeof event.contact !== 'object' || event.contact === null)
      return { ok: false, reason: 'data.contact is missing' };
    if (!Array.isArray(event.dispositions)) return { ok: false, reason: 'data.dispositions is missing' };
    return { ok: true, value: event };
  });
}
