import { type Command, type CommandAction, type Contact, type CustomField, PRIORITIES } from '#contracts';

/** Longest id of a command or an interaction, characters; escaped session ids of 128 characters stay below it. */
const MAX_ID_CHARS = 1_000;
/** Longest phone number, mail address, name or id of a contact, characters. */
const MAX_CONTACT_CHARS = 500;

/**
 * A command as it can be stored and written, or why it never can be. What the envelope's parser leaves open is looked at
 * here, once, so that nothing behind it meets a surprise. Characters that no text column or JSON parser takes (NUL, halves of
 * surrogate pairs) become U+FFFD.
 */
export function usableCommand(
  command: Command,
): { readonly ok: true; readonly value: Command } | { readonly ok: false; readonly reason: string } {
  const { data } = command;
  const reason = reasonAgainst(command);
  if (reason !== null) return { ok: false, reason };
  return { ok: true, value: { ...command, data: { ...data, action: cleaned(data.action) as CommandAction } } };
}

function reasonAgainst({ id, causationId, traceparent, data }: Command): string | null {
  if ([id, data.interactionId, causationId, traceparent ?? ''].some(hasBadCharacters))
    return 'an id holds characters that no id may';
  if (!PRIORITIES.includes(data.priority)) return 'data.priority is none of live, normal, backlog';
  if (id.length > MAX_ID_CHARS || data.interactionId.length > MAX_ID_CHARS) return 'an id is too long';
  if (!Number.isSafeInteger(data.eventAt) || ![data.eventRank, data.ordinal, data.policyVersion].every(isSmallInteger))
    return 'data.eventAt, eventRank, ordinal or policyVersion is no whole number within bounds';
  if (data.notAfter !== null && !Number.isSafeInteger(data.notAfter)) return 'data.notAfter is no instant';
  return reasonAgainstAction(data.action);
}

function reasonAgainstAction(action: CommandAction): string | null {
  switch (action.kind) {
    case 'addComment':
      return isText(action.body) && isFlag(action.public) ? null : 'a comment needs body and public';
    case 'setFields':
      return areTags(action.tags) && areFields(action.customFields)
        ? null
        : 'tags or customFields are no lists of such';
    case 'ensureTicket':
      if (!isText(action.subject) || !isText(action.body) || !isFlag(action.public))
        return 'a ticket needs subject, body and public';
      if (action.mode !== 'new' && action.mode !== 'append') return 'data.action.mode is wrong';
      if (!isContact(action.contact)) return 'data.action.contact is missing';
      if (action.queuePath !== null && !isText(action.queuePath)) return 'data.action.queuePath is no text';
      return areTags(action.tags) && areFields(action.customFields)
        ? null
        : 'tags or customFields are no lists of such';
    default:
      action satisfies never;
      return 'data.action.kind is unknown';
  }
}

const isSmallInteger = (value: unknown): boolean => Number.isInteger(value) && Math.abs(value as number) < 2 ** 31;
const isText = (value: unknown): value is string => typeof value === 'string';
const isFlag = (value: unknown): value is boolean => typeof value === 'boolean';
const areTags = (value: unknown): value is string[] => Array.isArray(value) && value.every(isText);

function areFields(value: unknown): value is CustomField[] {
  return Array.isArray(value) && value.every((field: unknown) => isRecord(field) && Number.isSafeInteger(field['id']));
}

function isContact(value: unknown): value is Contact {
  if (!isRecord(value)) return false;
  return ['phone', 'userId', 'email', 'name'].every((key) => {
    const part = value[key];
    return part === null || (isText(part) && part.length <= MAX_CONTACT_CHARS);
  });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

// oxlint-disable-next-line no-control-regex -- NUL is what is looked for
const BAD = /\u0000|[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g;

function hasBadCharacters(text: string): boolean {
  return text.search(BAD) >= 0;
}

function cleaned(value: unknown): unknown {
  if (typeof value === 'string') return value.replace(BAD, '\uFFFD');
  if (Array.isArray(value)) return value.map(cleaned);
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, cleaned(one)]));
}
