import {
  type AccountName,
  type Channel,
  type IngestFeed,
  interactionIdOf,
  type InteractionEvent,
  type InteractionEventData,
  type InteractionEventName,
  MAX_SESSION_ID_LENGTH,
  rankOf,
  SCHEMA_VERSION,
} from '#contracts';
import { contentId } from './content-id.js';
import { type Fields, fieldsOf, first, isObject, wordOf } from './fields.js';
import { instantOf, isPlausible } from './instant.js';
import { nameEvent, nameRecord } from './name-event.js';
import { agentOf, contactOf, type Participant, participantsOf } from './people.js';
import type { EventRejectionCode, EventWarningCode } from './rejection.js';
import {
  channelSaid,
  customerMessagesOf,
  directionOf,
  dispositionsOf,
  isDeflected,
  isVoicemail,
  linksOf,
  queuePathOf,
  ratingOf,
  saysAbandoned,
  secondsOf,
} from './session.js';
import { exactId, longText, shortText } from './text.js';

/** Longest event id taken; CCAI's are UUIDs of 36. It becomes part of a message header. */
export const MAX_EVENT_ID_LENGTH = 128;
/** Longest interaction id: a session id of foreign letters grows when escaped, and a CRM bounds its external ids. */
export const MAX_INTERACTION_ID_LENGTH = 200;
/** CCAI writes session metadata this long after the end; a record doesn't say when it was made. */
export const METADATA_DELAY_MS = 15 * 60_000;

/** Through which door an event came, and when. */
export interface Arrival {
  readonly account: AccountName;
  readonly feed: IngestFeed;
  readonly receivedAt: number;
  readonly traceparent: string | null;
}

export type ReadEvent =
  | { readonly ok: true; readonly event: InteractionEvent; readonly warnings: readonly EventWarningCode[] }
  | { readonly ok: false; readonly code: EventRejectionCode; readonly eventId: string | null };

/** One event or metadata record as CCAI sends it, to ours; or why not. Pure: the same body gives the same id. */
export function readEvent(raw: unknown, arrival: Arrival): ReadEvent {
  if (!isObject(raw)) return { ok: false, code: 'event_not_object', eventId: null };
  const outer = fieldsOf(raw);
  const item = outer.get('item');
  const session = isObject(item) ? fieldsOf(item) : outer;
  const given = givenId(outer);
  if (!given.ok) return { ok: false, code: 'event_id_invalid', eventId: null };
  const reject = (code: EventRejectionCode) => ({ ok: false, code, eventId: given.id }) as const;

  if (wordOf(outer.get('type')) === 'agentstate') return reject('not_about_a_session');
  const isRecord = looksLikeRecord(session, arrival.feed);
  const channel = channelSaid(session) ?? channelOfFeed(arrival.feed);
  const rawId = isRecord ? session.get('id') : sessionIdIn(session, channel);
  if (rawId === undefined) return reject('session_id_missing');
  if (channel === null) return reject('channel_unknown');
  const sessionId = exactId(rawId, MAX_SESSION_ID_LENGTH);
  if (sessionId === null) return reject('session_id_invalid');
  const interactionId = interactionIdOf(channel, sessionId);
  if (interactionId.length > MAX_INTERACTION_ID_LENGTH) return reject('session_id_invalid');

  const eventId = given.id ?? contentId(isRecord ? 'metadata' : 'feed', [channel, sessionId], raw);
  if (eventId === null) return reject('too_deep');
  const when = whenItHappened(outer, session, isRecord, arrival.receivedAt);
  if (when === null) return reject('timestamp_invalid');

  const found = describe({ outer, session, isRecord, occurredAt: when.occurredAt, receivedAt: arrival.receivedAt });
  const event: InteractionEvent = {
    id: eventId,
    type: found.data.event,
    schemaVersion: SCHEMA_VERSION,
    account: arrival.account,
    occurredAt: when.occurredAt,
    recordedAt: arrival.receivedAt,
    causationId: eventId,
    traceparent: arrival.traceparent,
    data: { interactionId, channel, sessionId, ...found.data },
  };
  return { ok: true, event, warnings: [...when.warnings, ...found.warnings] };
}

function givenId(outer: Fields): { readonly ok: true; readonly id: string | null } | { readonly ok: false } {
  const raw = outer.get('eventid');
  if (raw === undefined) return { ok: true, id: null };
  const id = exactId(raw, MAX_EVENT_ID_LENGTH);
  return id === null ? { ok: false } : { ok: true, id };
}

/** Metadata names its session by a bare `id`; events by `call_id`, `CallID` or `chat_id`. */
function looksLikeRecord(session: Fields, feed: IngestFeed): boolean {
  if (!session.has('id') || session.has('callid') || session.has('chatid')) return false;
  return feed === 'metadata' || session.has('calltype') || session.has('chattype');
}

function sessionIdIn(session: Fields, channel: Channel | null): unknown {
  const names = channel === 'chat' ? ['chatid', 'callid'] : ['callid', 'chatid'];
  return first(session, ...names, 'sessionid', 'id');
}

function channelOfFeed(feed: IngestFeed): Channel | null {
  switch (feed) {
    case 'calls':
      return 'call';
    case 'chats':
      return 'chat';
    case 'metadata':
      return null;
    default:
      return feed satisfies never;
  }
}

interface When {
  readonly occurredAt: number;
  readonly warnings: readonly EventWarningCode[];
}

/** Null where a timestamp is given that is none. One that can't be true is replaced by the arrival: losing the event would be worse. */
function whenItHappened(outer: Fields, session: Fields, isRecord: boolean, receivedAt: number): When | null {
  const raw = outer.get('timestamp');
  if (raw === undefined) return { occurredAt: whenUnsaid(session, isRecord, receivedAt), warnings: [] };
  const timestamp = instantOf(raw);
  if (timestamp === null) return null;
  if (isPlausible(timestamp, receivedAt)) return { occurredAt: timestamp, warnings: [] };
  return { occurredAt: receivedAt, warnings: ['timestamp_implausible'] };
}

function whenUnsaid(session: Fields, isRecord: boolean, receivedAt: number): number {
  if (!isRecord) return receivedAt;
  const updated = plausible(session.get('updatedat'), receivedAt);
  if (updated !== null) return updated;
  const ended = plausible(session.get('endsat'), receivedAt);
  return ended === null ? receivedAt : Math.min(ended + METADATA_DELAY_MS, receivedAt);
}

function plausible(value: unknown, receivedAt: number): number | null {
  const instant = instantOf(value);
  return instant !== null && isPlausible(instant, receivedAt) ? instant : null;
}

interface Source {
  readonly outer: Fields;
  readonly session: Fields;
  readonly isRecord: boolean;
  readonly occurredAt: number;
  readonly receivedAt: number;
}

type Described = Omit<InteractionEventData, 'interactionId' | 'channel' | 'sessionId'>;

function describe(source: Source): { readonly data: Described; readonly warnings: readonly EventWarningCode[] } {
  const { outer, session } = source;
  const participants = participantsOf(session.get('participants'));
  const initiators = [outer.get('initiator'), session.get('initiator')];
  const contactFound = contactOf(
    session,
    participants,
    initiators.find((each) => !isAgentName(each)),
  );
  const agent = agentOf(session, participants, initiators.find(isAgentName));
  const dispositions = dispositionsOf(outer, session);
  const queuePath = queuePathOf(session);
  const sessionType = shortText(first(session, 'sessiontypev2', 'sessiontype', 'calltype', 'chattype'));
  const endsAt = plausible(outer.get('endsat') ?? session.get('endsat'), source.receivedAt);
  const status = wordOf(first(session, 'state', 'status'));
  const event = source.isRecord
    ? nameRecord(status, endsAt !== null)
    : nameEvent({
        customerStates: statesOf(participants, 'customer'),
        agentStates: statesOf(participants, 'agent'),
        virtualStates: statesOf(participants, 'virtual'),
        state: status,
        ended: endsAt !== null,
        disposed: dispositions.length > 0,
        agentKnown: participants.some(({ side }) => side === 'agent') || (agent !== null && hasAgentInfo(session)),
        routed: queuePath !== null || agent?.virtual === true,
      });
  const times = timesOf(source, event, endsAt);
  const links = linksOf(session);
  const voicemail = isVoicemail(session, sessionType);
  const data: Described = {
    event,
    state: shortText(first(session, 'state', 'status')),
    direction: directionOf(session, sessionType),
    sessionType,
    language: shortText(first(session, 'language', 'lang')),
    queuePath,
    contact: contactFound,
    agent,
    customerMessages: customerMessagesOf(session),
    ...times,
    ...durationsOf(session, times),
    recordingUrl: links.recordingUrl,
    transcriptUrl: links.transcriptUrl,
    rating: ratingOf(session.get('rating')),
    feedback: feedbackOf(session),
    voicemail,
    abandoned: !voicemail && wasAbandoned(session, event, agent !== null, times.connectedAt, participants),
    dispositions,
  };
  return { data, warnings: links.dropped ? ['link_dropped'] : [] };
}

function statesOf(participants: readonly Participant[], side: Participant['side']): readonly string[] {
  return participants.filter((each) => each.side === side && each.state !== null).map(({ state }) => state!);
}

function isAgentName(initiator: unknown): boolean {
  return typeof initiator === 'string' && /^(?:virtual_)?agent_/.test(initiator);
}

function hasAgentInfo(session: Fields): boolean {
  return session.has('agentinfo') || session.has('agent');
}

type Times = Pick<InteractionEventData, 'startedAt' | 'connectedAt' | 'endedAt'>;

/**
 * `connected_at` in an early event is when the customer's side connected (CCAI calls a session connected from its
 * start), so it is taken for the agent's only once an agent is seen.
 */
function timesOf(
  { outer, session, isRecord, occurredAt, receivedAt }: Source,
  event: InteractionEventName,
  endsAt: number | null,
): Times {
  const connected = plausible(outer.get('connectedat') ?? session.get('connectedat'), receivedAt);
  const withAgent = isRecord || rankOf(event) >= rankOf('active');
  const started = plausible(first(session, 'createdat', 'startedat') ?? outer.get('startedat'), receivedAt);
  const startedHere = event === 'started' && !isRecord ? occurredAt : null;
  return {
    startedAt: started ?? (withAgent ? null : connected) ?? startedHere,
    connectedAt: withAgent ? connected : null,
    endedAt: endsAt ?? (event === 'ended' ? occurredAt : null),
  };
}

function durationsOf(
  session: Fields,
  { connectedAt, endedAt }: Times,
): Pick<InteractionEventData, 'waitSeconds' | 'callSeconds' | 'holdSeconds'> {
  const counted = connectedAt === null || endedAt === null ? null : (endedAt - connectedAt) / 1_000;
  return {
    waitSeconds: secondsOf(first(session, 'waitduration', 'queueduration')),
    callSeconds: secondsOf(first(session, 'callduration', 'chatduration', 'duration') ?? counted),
    holdSeconds: secondsOf(session.get('holdduration')),
  };
}

function feedbackOf(session: Fields): string | null {
  const feedback = first(session, 'feedback', 'csatcomment');
  return longText(isObject(feedback) ? first(fieldsOf(feedback), 'text', 'comment') : feedback);
}

function wasAbandoned(
  session: Fields,
  event: InteractionEventName,
  agentKnown: boolean,
  connectedAt: number | null,
  participants: readonly Participant[],
): boolean {
  if (saysAbandoned(session)) return true;
  if (event !== 'ended' && event !== 'metadata') return false;
  return !agentKnown && connectedAt === null && participants.length > 0 && !isDeflected(session);
}
