/**
 * Reading what others sent. CCAI spells the same field `call_id`, `CallID` and `Queue_path_names`; here all of them are
 * one name: lower case without `_` and `-`. Nothing of the source is copied by its own keys, so no key (`__proto__`
 * included) can reach an object of ours, and nothing is followed deeper than a reader asks for.
 */
export type Fields = ReadonlyMap<string, unknown>;

/** Longest key that is looked at; real ones have under 30 characters. */
const MAX_KEY_LENGTH = 64;
const canonicalNames = new Map<string, string>();
/** Spellings remembered, so that a hostile sender can't fill the memory with made-up keys. */
const MAX_REMEMBERED_SPELLINGS = 2_000;

const PLAIN_WORD = /^[a-z0-9]+$/;
const NOTHING: Fields = new Map();

/** True for a JSON object (not null, not an array). */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An object's own fields by their one name; null ones are left out; of two spellings of one name the first counts. */
export function fieldsOf(value: unknown): Fields {
  if (!isObject(value)) return NOTHING;
  const fields = new Map<string, unknown>();
  for (const key of Object.keys(value)) {
    if (key.length > MAX_KEY_LENGTH) continue;
    const found = value[key];
    if (found === null || found === undefined) continue;
    const name = canonicalName(key);
    if (!fields.has(name)) fields.set(name, found);
  }
  return fields;
}

/** The first of these names that has a value. */
export function first(fields: Fields, ...names: readonly string[]): unknown {
  for (const name of names) {
    const value = fields.get(name);
    if (value !== undefined) return value;
  }
  return undefined;
}

/** An array's first `most` elements; a single object counts as an array of one; anything else as empty. */
export function listOf(value: unknown, most: number): readonly unknown[] {
  if (Array.isArray(value)) return value.length > most ? value.slice(0, most) : value;
  return isObject(value) ? [value] : [];
}

/** A word for comparing: `dispositionSubmitted`, `VA_connected` → `dispositionsubmitted`, `vaconnected`; null where there is none. */
export function wordOf(value: unknown): string | null {
  if (typeof value !== 'string' || value.length > MAX_KEY_LENGTH) return null;
  if (PLAIN_WORD.test(value)) return value;
  const word = value.toLowerCase().replace(/[^a-z0-9]/g, '');
  return word === '' ? null : word;
}

function canonicalName(key: string): string {
  const known = canonicalNames.get(key);
  if (known !== undefined) return known;
  const name = key.toLowerCase().replace(/[_-]/g, '');
  if (canonicalNames.size < MAX_REMEMBERED_SPELLINGS) canonicalNames.set(key, name);
  return name;
}
