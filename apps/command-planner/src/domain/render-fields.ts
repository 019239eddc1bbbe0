import type { CustomField, TicketPolicy } from '#contracts';
import { MAX_FIELD_LENGTH, oneLine } from './bounded-text.js';
import type { TemplateValues } from './template-values.js';

/** A template's text with these values; null where it can't be rendered (a bound was passed, or it isn't valid). */
export type Render = (template: string, values: TemplateValues) => string | null;

const YES = new Set(['true', 'yes', 'on', '1']);
const NO = new Set(['false', 'no', 'off', '0']);

/** The custom fields that have a value; an empty rendering, or one that isn't of the field's type, sets nothing. */
export function renderFields(policy: TicketPolicy, values: TemplateValues, render: Render): readonly CustomField[] {
  const fields: CustomField[] = [];
  for (const { id, value: template, type } of policy.customFields) {
    const value = typed(oneLine(render(template, values) ?? '', MAX_FIELD_LENGTH), type);
    if (value !== null) fields.push({ id, value });
  }
  return fields;
}

/** Those of `fields` that differ from `before`. */
export function changedFields(fields: readonly CustomField[], before: readonly CustomField[]): readonly CustomField[] {
  const known = new Map(before.map(({ id, value }) => [id, value]));
  return fields.filter(({ id, value }) => known.get(id) !== value);
}

function typed(text: string, type: 'text' | 'number' | 'checkbox'): string | number | boolean | null {
  if (text === '') return null;
  switch (type) {
    case 'text':
      return text;
    case 'number':
      return Number.isFinite(Number(text)) ? Number(text) : null;
    case 'checkbox': {
      const word = text.toLowerCase();
      return YES.has(word) ? true : NO.has(word) ? false : null;
    }
    default:
      return type satisfies never;
  }
}
