import { isUtf8 } from 'node:buffer';

export type ParsedBody = { readonly ok: true; readonly value: unknown } | { readonly ok: false };

/** A body's bytes as JSON. A byte order mark is allowed; bytes that are no UTF-8 are not. */
export function parseJson(body: unknown): ParsedBody {
  if (!Buffer.isBuffer(body) || !isUtf8(body)) return { ok: false };
  const text = body.toString('utf8');
  try {
    return { ok: true, value: JSON.parse(text.charCodeAt(0) === 0xfeff ? text.slice(1) : text) as unknown };
  } catch {
    return { ok: false };
  }
}

const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

/** A W3C trace context, handed through; null where there is none. */
export function traceparentOf(header: unknown): string | null {
  return typeof header === 'string' && TRACEPARENT.test(header) ? header : null;
}
