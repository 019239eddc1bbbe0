import { fieldsOf, isObject } from './fields.js';
import type { BodyRejectionCode } from './rejection.js';

export type Opened =
  | { readonly ok: true; readonly events: readonly unknown[]; readonly countDiffers: boolean }
  | { readonly ok: false; readonly code: BodyRejectionCode };

/**
 * The events of a parsed body. CCAI documents `{"count": n, "events": [...]}`; a single event without envelope is taken
 * too, and so is a bare list. A wrong `count` loses nothing: what is there is taken, and the answer says that it differs.
 */
export function openEnvelope(body: unknown, mostEvents: number): Opened {
  if (Array.isArray(body)) return bounded(body, mostEvents, false);
  if (!isObject(body)) return { ok: false, code: 'body_not_object' };
  const fields = fieldsOf(body);
  if (!fields.has('events')) {
    // `{"count": 0}` is an envelope with nothing in it, not an event.
    const empty = fields.size === 0 || (fields.size === 1 && fields.has('count'));
    return { ok: true, events: empty ? [] : [body], countDiffers: false };
  }
  const events = fields.get('events');
  if (!Array.isArray(events)) return { ok: false, code: 'events_not_list' };
  const count = fields.get('count');
  return bounded(events, mostEvents, count !== undefined && count !== events.length);
}

function bounded(events: readonly unknown[], mostEvents: number, countDiffers: boolean): Opened {
  if (events.length > mostEvents) return { ok: false, code: 'too_many_events' };
  return { ok: true, events, countDiffers };
}
