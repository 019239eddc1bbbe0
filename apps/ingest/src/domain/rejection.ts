/** Why an event is not taken. The codes are part of the contract (docs/errors.md); texts carry nothing of the customer's. */
export const EVENT_REJECTIONS = {
  event_not_object: 'the event is not a JSON object',
  event_id_invalid: 'event_id must be a text of 1 to 128 characters without control characters, or a whole number',
  session_id_missing: 'the event names no session: call_id, CallID, chat_id or (metadata) id is needed',
  session_id_invalid: 'the session id must be a text of 1 to 128 ordinary characters, or a whole number up to 2^53',
  channel_unknown: 'it cannot be seen whether the session is a call or a chat',
  timestamp_invalid: 'timestamp must be epoch milliseconds or ISO 8601',
  not_about_a_session: 'this is about an agent, not about a call or a chat',
  too_deep: 'the event is nested too deeply',
} as const;
export type EventRejectionCode = keyof typeof EVENT_REJECTIONS;

/** What was odd about an event that was taken all the same. */
export const EVENT_WARNINGS = {
  timestamp_implausible: 'timestamp lies in the future or long ago; the time of arrival was taken instead',
  count_differs: 'count differs from the number of events',
  link_dropped: 'a link that is no http, https or storage address, or is too long, was left out',
} as const;
export type EventWarningCode = keyof typeof EVENT_WARNINGS;

/** Why a whole body is not taken. */
export const BODY_REJECTIONS = {
  body_not_object: 'the body must be a JSON object: {"count": n, "events": [...]} or one event',
  events_not_list: 'events must be a list',
  too_many_events: 'too many events in one envelope',
} as const;
export type BodyRejectionCode = keyof typeof BODY_REJECTIONS;
