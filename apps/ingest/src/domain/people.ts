import type { Agent, Contact } from '#contracts';
import { type Fields, fieldsOf, first, listOf, wordOf } from './fields.js';
import { exactId, MAX_SHORT_TEXT_LENGTH, shortText } from './text.js';

/** Participants looked at; a conference has a handful. */
export const MAX_PARTICIPANTS = 100;

export interface Participant {
  readonly side: 'customer' | 'agent' | 'virtual';
  /** Lower case without punctuation; null where none is given. */
  readonly state: string | null;
  readonly fields: Fields;
}

const CUSTOMER_TYPES = new Set(['external', 'enduser', 'customer', 'consumer', 'user', 'visitor', 'caller']);
const VIRTUAL_TYPES = new Set(['virtualagent', 'va', 'bot', 'virtualassistant']);

/** Who takes part, as listed; those of unknown type (supervisors, third parties) are left out. */
export function participantsOf(value: unknown): readonly Participant[] {
  const participants: Participant[] = [];
  for (const element of listOf(value, MAX_PARTICIPANTS)) {
    const fields = fieldsOf(element);
    const type = wordOf(first(fields, 'type', 'participanttype', 'role'));
    const state = wordOf(first(fields, 'state', 'status'));
    if (type === 'agent') {
      participants.push({ side: fields.has('vaalias') ? 'virtual' : 'agent', state, fields });
    } else if (type !== null && VIRTUAL_TYPES.has(type)) {
      participants.push({ side: 'virtual', state, fields });
    } else if (type !== null && CUSTOMER_TYPES.has(type)) {
      participants.push({ side: 'customer', state, fields });
    }
  }
  return participants;
}

/** Said of callers who hide their number: as an id they would make one contact of all of them. */
const NOBODY = new Set(['anonymous', 'unknown', 'restricted', 'private', 'unavailable', 'blocked', 'withheld', 'none']);
const PHONE = /^(?:tel:)?(\+|00)? ?([0-9][0-9 ().\-/]{4,24}[0-9])$/;
const END_USER = /^end_user_[A-Za-z0-9-]{1,64}$/;

const NOBODY_KNOWN: Contact = { phone: null, userId: null, email: null, name: null };

/** `+12025550147` out of the ways numbers are written; without `+` or `00` the digits as they are; null where it is no number. */
export function phoneOf(value: unknown): string | null {
  const raw = typeof value === 'number' ? String(value) : typeof value === 'string' ? value.trim() : '';
  const found = raw.length > 40 ? null : PHONE.exec(raw);
  if (!found) return null;
  const digits = found[2]!.replace(/\D/g, '');
  if (digits.length < 6 || digits.length > 15) return null;
  return found[1] === undefined ? digits : `+${digits}`;
}

/** The customer, from the participants first, then from the session's own fields, last from who began it. */
export function contactOf(session: Fields, participants: readonly Participant[], initiator: unknown): Contact {
  const customers = participants.filter(({ side }) => side === 'customer');
  const endUser = fieldsOf(first(session, 'enduser', 'customer', 'contact'));
  const sources = [
    ...customers.map(({ fields }) => personFrom(fields, exactId(fields.get('userid'), MAX_SHORT_TEXT_LENGTH))),
    ...customers.map(({ fields }) => addressOf(first(fields, 'dn', 'participantid'), true)),
    personFrom(endUser, endUserIdOf(endUser)),
    addressOf(first(session, 'ani', 'phonenumber', 'customerphonenumber', 'enduserphonenumber'), false),
    addressOf(initiator, false),
  ];
  return sources.reduce(completed, NOBODY_KNOWN);
}

function personFrom(fields: Fields, userId: string | null): Contact {
  return {
    phone: phoneOf(first(fields, 'phonenumber', 'phone')),
    userId,
    email: emailOf(first(fields, 'email', 'emailaddress')),
    name: nameOf(fields),
  };
}

/** Metadata has the end user as `{"id": 5}`, events as `end_user_5`: taken to be the same (a guess, docs/ccai.md). */
function endUserIdOf(fields: Fields): string | null {
  const id = exactId(fields.get('id'), MAX_SHORT_TEXT_LENGTH);
  if (id !== null) return END_USER.test(id) ? id : `end_user_${id}`;
  return exactId(fields.get('identifier'), MAX_SHORT_TEXT_LENGTH);
}

/** `+123456789`, `end_user_5` or an e-mail address; other texts name a customer only where the field is one for that. */
function addressOf(value: unknown, trusted: boolean): Contact {
  const phone = phoneOf(value);
  if (phone !== null) return { ...NOBODY_KNOWN, phone };
  const email = emailOf(value);
  if (email !== null) return { ...NOBODY_KNOWN, email };
  const id = exactId(value, MAX_SHORT_TEXT_LENGTH);
  if (id === null || NOBODY.has(wordOf(id) ?? '')) return NOBODY_KNOWN;
  return trusted || END_USER.test(id) ? { ...NOBODY_KNOWN, userId: id } : NOBODY_KNOWN;
}

function emailOf(value: unknown): string | null {
  const text = shortText(value);
  return text !== null && /^[^\s@:]+@[^\s@]+\.[^\s@]+$/.test(text) ? text : null;
}

function nameOf(fields: Fields): string | null {
  const whole = shortText(first(fields, 'name', 'fullname', 'displayname'));
  const parts = [shortText(fields.get('firstname')), shortText(fields.get('lastname'))].filter((part) => part !== null);
  if (parts.length === 2 || whole === null) return parts.length === 0 ? null : parts.join(' ');
  return whole;
}

function completed(known: Contact, more: Contact): Contact {
  return {
    phone: known.phone ?? more.phone,
    userId: known.userId ?? more.userId,
    email: known.email ?? more.email,
    name: known.name ?? more.name,
  };
}

const PRESENT = new Set(['connected', 'active', 'accepted', 'hold', 'onhold', 'dispositionsubmitted']);

/** Who serves: a human before a virtual one, of several the last that is there (an earlier one has handed over). */
export function agentOf(session: Fields, participants: readonly Participant[], initiator: unknown): Agent | null {
  const info = listOf(first(session, 'agentinfo', 'agent'), MAX_PARTICIPANTS).map(fieldsOf);
  const listed = participants.filter(({ side }) => side !== 'customer');
  const present = listed.filter(({ state }) => state !== null && PRESENT.has(state));
  const known = [
    ...info.map((fields) => agentFrom(fields, false)),
    ...[...listed, ...present].map(({ side, fields }) => agentFrom(fields, side === 'virtual')),
  ].filter((agent) => agent !== null);
  const humans = known.filter(({ virtual }) => !virtual);
  return humans.at(-1) ?? known.at(-1) ?? agentNamedBy(initiator);
}

function agentFrom(fields: Fields, virtual: boolean): Agent | null {
  const alias = shortText(fields.get('vaalias'));
  const id = exactId(first(fields, 'participantid', 'agentid', 'id', 'userid', 'dn'), MAX_SHORT_TEXT_LENGTH);
  const agent = {
    id: id === null ? null : id.replace(/^(?:virtual_)?agent_/, ''),
    name: nameOf(fields) ?? alias,
    email: emailOf(first(fields, 'email', 'emailaddress')),
    virtual: virtual || alias !== null,
  };
  return agent.id === null && agent.name === null && agent.email === null ? null : agent;
}

function agentNamedBy(initiator: unknown): Agent | null {
  const found = typeof initiator === 'string' ? /^(virtual_)?agent_([\w-]{1,64})$/.exec(initiator) : null;
  return found ? { id: found[2]!, name: null, email: null, virtual: found[1] !== undefined } : null;
}
