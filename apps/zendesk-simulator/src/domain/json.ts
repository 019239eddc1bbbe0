/** What JSON text can hold. `undefined` members are left out when written. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject | JsonText;

/** A JSON object. */
export interface JsonObject {
  readonly [key: string]: Json | undefined;
}

/** JSON that is already written out; for the large and the frequent. */
export class JsonText {
  constructor(readonly text: string) {}

  /** What it says, where it stands too deep for `writtenOut` to see it. */
  toJSON(): unknown {
    return JSON.parse(this.text);
  }
}

/** The value as JSON text. */
export function writtenOut(value: Json): string {
  if (value instanceof JsonText) return value.text;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (isList(value))
    return value[0] instanceof JsonText ? `[${value.map((item) => writtenOut(item)).join()}]` : JSON.stringify(value);
  const object = objectOf(value) ?? {};
  let text = '';
  for (const name in object) {
    const member = object[name];
    if (member !== undefined) text += `${text === '' ? '' : ','}${JSON.stringify(name)}:${memberText(member)}`;
  }
  return `{${text}}`;
}

function memberText(member: Json): string {
  return member instanceof JsonText || isList(member) ? writtenOut(member) : JSON.stringify(member);
}

/** A text as JSON writes it. */
export function quoted(text: string): string {
  return JSON.stringify(text);
}

/** The value as an object, or undefined when it is anything else. */
export function objectOf(value: Json | undefined): JsonObject | undefined {
  if (typeof value !== 'object' || value === null || isList(value) || value instanceof JsonText) return undefined;
  return value;
}

/** The value as a list, or undefined when it is anything else. */
export function listOf(value: Json | undefined): readonly Json[] | undefined {
  return isList(value) ? value : undefined;
}

/** The value as text: strings as they are, numbers written out, everything else undefined. */
export function textOf(value: Json | undefined): string | undefined {
  if (typeof value === 'string') return value;
  return typeof value === 'number' ? String(value) : undefined;
}

/** The value as a whole number (`12` or `"12"`), or undefined. */
export function wholeNumberOf(value: Json | undefined): number | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? value : undefined;
  if (typeof value !== 'string' || !/^\d{1,15}$/.test(value)) return undefined;
  return Number(value);
}

/** The JSON in a text, or undefined when there is none. */
export function parseJson(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

/** What stands at a dotted path such as `sluice.commands`. */
export function valueAt(value: Json | undefined, dottedPath: string): Json | undefined {
  let found = value;
  for (const step of dottedPath.split('.')) found = objectOf(found)?.[step];
  return found;
}

function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}
