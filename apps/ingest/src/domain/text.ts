/** Longest names, queue paths, states and other short texts kept, in UTF-16 units; longer ones are cut. */
export const MAX_SHORT_TEXT_LENGTH = 255;
/** Longest free text kept (a customer's feedback, an agent's note). */
export const MAX_LONG_TEXT_LENGTH = 5_000;
/** Longest URL kept; a longer one is dropped, as half a link leads nowhere. */
export const MAX_URL_LENGTH = 2_000;

// Control characters except tab and line feed: Postgres refuses NUL, terminals obey the others.
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u2028\u2029]/g;
const LONE_SURROGATE = /\p{Surrogate}/gu;
/** What nearly all texts are: nothing to clean, found in one pass. */
const PLAIN = /^[\x21-\x7E](?:[\x20-\x7E]*[\x21-\x7E])?$/;
const SAFE_LINK = /^(?:https?|gs|s3|sftp):\/\/[^\s"'<>\\]+$/i;

/** Text fit to be stored and shown: bounded, without control characters and halves of characters; null where empty or no text. */
export function textOf(value: unknown, mostLength: number): string | null {
  const raw = typeof value === 'string' ? value : typeof value === 'number' ? String(value) : null;
  if (raw === null) return null;
  if (raw.length <= mostLength && PLAIN.test(raw)) return raw;
  const bounded = raw.length > mostLength * 2 ? raw.slice(0, mostLength * 2) : raw;
  const clean = bounded.replace(/\r\n?/g, '\n').replace(CONTROL, '').replace(LONE_SURROGATE, '\uFFFD').trim();
  if (clean === '') return null;
  return clean.length <= mostLength ? clean : `${withoutHalf(clean.slice(0, mostLength - 1))}…`;
}

export const shortText = (value: unknown): string | null => textOf(value, MAX_SHORT_TEXT_LENGTH);
export const longText = (value: unknown): string | null => textOf(value, MAX_LONG_TEXT_LENGTH);

/** A link that may stand in a ticket: http, https or a storage address; null for anything else. */
export function linkOf(value: unknown): string | null {
  if (typeof value !== 'string') return null;
  const link = value.trim();
  return link.length <= MAX_URL_LENGTH && SAFE_LINK.test(link) ? link : null;
}

/**
 * An id as it names something: compared and hashed, so never cleaned or cut. Null where it is empty, too long, or has
 * control characters or halves of characters (two different ones could become the same bytes).
 */
export function exactId(value: unknown, mostLength: number): string | null {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? String(value) : null;
  if (typeof value !== 'string') return null;
  const id = value.trim();
  if (id === '' || id.length > mostLength) return null;
  if (PLAIN.test(id)) return id;
  return id.search(CONTROL) === -1 && id.search(LONE_SURROGATE) === -1 ? id : null;
}

function withoutHalf(text: string): string {
  return text.replace(/[\uD800-\uDBFF]$/, '');
}
