import type { Channel, Disposition } from '#contracts';
import { type Fields, fieldsOf, first, isObject, listOf, wordOf } from './fields.js';
import { linkOf, longText, shortText } from './text.js';

/** Disposition codes kept of one session. */
export const MAX_DISPOSITIONS = 20;
/** Longest wait, call or hold believed: a week. */
const MAX_SECONDS = 7 * 86_400;

/** The queue as a path of names: `support/orders/status`. Metadata has the menu instead. */
export function queuePathOf(session: Fields): string | null {
  const path = first(session, 'queuepathnames', 'queuepath', 'menupath', 'selectedmenu');
  if (Array.isArray(path)) return shortText(path.filter((name) => typeof name === 'string').join('/'));
  if (!isObject(path)) return shortText(path);
  return shortText(first(fieldsOf(path), 'name', 'pathnames'));
}

/** `incoming` or `outgoing`, as said, or by the session's type (`Voice Inbound (IVR)`). */
export function directionOf(session: Fields, sessionType: string | null): 'incoming' | 'outgoing' | null {
  const word = wordOf(session.get('direction')) ?? '';
  const type = sessionType?.toLowerCase() ?? '';
  if (word === 'incoming' || word === 'inbound') return 'incoming';
  if (word === 'outgoing' || word === 'outbound') return 'outgoing';
  if (type.includes('inbound')) return 'incoming';
  return type.includes('outbound') || type.includes('campaign') ? 'outgoing' : null;
}

/** Wrap-up codes with notes: CCAI nests one object or a list in an event, and has flat fields in metadata. */
export function dispositionsOf(event: Fields, session: Fields): readonly Disposition[] {
  const nested = listOf(event.get('dispositions') ?? session.get('dispositions'), MAX_DISPOSITIONS).map(fieldsOf);
  const flat = new Map([
    ['code', session.get('dispositioncode')],
    ['note', first(session, 'dispositionnotes', 'dispositionnote')],
  ]);
  return [...nested, flat].map(dispositionFrom).filter((found) => found !== null);
}

function dispositionFrom(fields: Fields): Disposition | null {
  const note = first(fields, 'note', 'notes');
  const disposition = {
    code: shortText(fields.get('code')),
    customCodeId: shortText(fields.get('customcodeid')),
    note: longText(Array.isArray(note) ? note.filter((line) => typeof line === 'string').join('\n') : note),
  };
  return disposition.code === null && disposition.customCodeId === null && disposition.note === null
    ? null
    : disposition;
}

/** A duration in whole seconds, or null where it is no such number. */
export function secondsOf(value: unknown): number | null {
  const seconds = typeof value === 'string' && /^\d{1,7}(\.\d+)?$/.test(value) ? Number(value) : value;
  if (typeof seconds !== 'number' || !(seconds >= 0 && seconds <= MAX_SECONDS)) return null;
  return Math.round(seconds);
}

/** A rating from 1 to 5; CCAI has 0 or null where the customer gave none. */
export function ratingOf(value: unknown): number | null {
  const rating = typeof value === 'string' && /^\d$/.test(value) ? Number(value) : value;
  return typeof rating === 'number' && rating >= 1 && rating <= 5 ? rating : null;
}

/** How many messages the customer has written in a chat. No source documents such a field; these names are guesses. */
export function customerMessagesOf(session: Fields): number | null {
  const count = first(session, 'customermessages', 'customermessagecount', 'endusermessagecount');
  return typeof count === 'number' && Number.isSafeInteger(count) && count >= 0 ? count : null;
}

export interface Links {
  readonly recordingUrl: string | null;
  readonly transcriptUrl: string | null;
  /** True where something stood in a link's place that may not stand in a ticket. */
  readonly dropped: boolean;
}

/** Where recording and transcript are kept. */
export function linksOf(session: Fields): Links {
  const recording = first(session, 'recordingurl', 'recordings', 'recording');
  const transcript = first(session, 'transcripturl', 'chattranscripturl', 'transcript');
  const recordingUrl = linkIn(recording);
  const transcriptUrl = linkIn(transcript);
  const dropped =
    (typeof recording === 'string' && recording !== '' && recordingUrl === null) ||
    (typeof transcript === 'string' && transcript !== '' && transcriptUrl === null);
  return { recordingUrl, transcriptUrl, dropped };
}

function linkIn(value: unknown): string | null {
  if (typeof value === 'string') return linkOf(value);
  return linkOf(first(fieldsOf(listOf(value, 1)[0]), 'url', 'recordingurl', 'transcripturl'));
}

const END_FIELDS = ['state', 'status', 'substatus', 'deflection', 'finishreason', 'failreason'] as const;

/** True where one of the words that tell how a session went (`finished`, `voicemail`…) has `part` in it, and doesn't begin by denying it (`no_deflection`). */
function endedWith(session: Fields, part: string): boolean {
  return END_FIELDS.some((name) => {
    const word = wordOf(session.get(name));
    return word !== null && word.includes(part) && !word.startsWith('no');
  });
}

/** True where the customer left a voicemail. */
export function isVoicemail(session: Fields, sessionType: string | null): boolean {
  const reason = wordOf(session.get('voicemailreason'));
  if (reason !== null && reason !== 'notvoicemail') return true;
  return sessionType?.toLowerCase().includes('voicemail') === true || endedWith(session, 'voicemail');
}

/** True where the source itself says that the customer gave up, or (chats) went away unserved. */
export function saysAbandoned(session: Fields): boolean {
  return endedWith(session, 'abandon');
}

/** True where the customer was sent elsewhere (callback, message, another number): not abandoned. */
export function isDeflected(session: Fields): boolean {
  const deflection = wordOf(session.get('deflection'));
  return wordOf(session.get('status')) === 'deflected' || (deflection !== null && !deflection.startsWith('no'));
}

/** Call or chat, by what the session says of itself; null where only the door tells. */
export function channelSaid(session: Fields): Channel | null {
  const call = session.has('callid') || session.has('calltype');
  const chat = session.has('chatid') || session.has('chattype');
  if (call !== chat) return call ? 'call' : 'chat';
  const type = wordOf(first(session, 'sessiontypev2', 'sessiontype')) ?? '';
  if (type.startsWith('voice')) return 'call';
  return type.startsWith('messaging') ? 'chat' : null;
}
