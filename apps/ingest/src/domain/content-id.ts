import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { isObject } from './fields.js';

/** How deep an event without an id may be nested; CCAI's go to about 4. */
export const MAX_DEPTH = 12;

const encoder = new TextEncoder();

/**
 * The id of an event that brings none (session feed, metadata): a hash of what it says, whatever the order of its keys,
 * so that sending it again is a duplicate and saying something new is not. Null where it is nested too deeply.
 */
export function contentId(prefix: string, scope: readonly string[], content: unknown): string | null {
  const canonical = canonicalJson(content, MAX_DEPTH);
  if (canonical === null) return null;
  const hash = bytesToHex(sha256(encoder.encode(`${JSON.stringify(scope)}${canonical}`)));
  return `${prefix}-${hash.slice(0, 32)}`;
}

function canonicalJson(value: unknown, depthLeft: number): string | null {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  if (depthLeft === 0) return null;
  const parts: string[] = [];
  if (isObject(value)) {
    for (const key of Object.keys(value).sort()) {
      const part = canonicalJson(value[key], depthLeft - 1);
      if (part === null) return null;
      parts.push(`${JSON.stringify(key)}:${part}`);
    }
    return `{${parts.join(',')}}`;
  }
  for (const element of value as readonly unknown[]) {
    const part = canonicalJson(element, depthLeft - 1);
    if (part === null) return null;
    parts.push(part);
  }
  return `[${parts.join(',')}]`;
}
