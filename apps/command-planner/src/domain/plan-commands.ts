import {
  type Command,
  type CommandAction,
  type CommandKind,
  commandIdOf,
  type InteractionEvent,
  isoOf,
  type Priority,
  rankOf,
  SCHEMA_VERSION,
  type TicketPolicy,
} from '#contracts';
import { lines, MAX_BODY_LENGTH, MAX_SUBJECT_LENGTH, oneLine } from './bounded-text.js';
import { changedFields, type Render, renderFields } from './render-fields.js';
import { basicsOf, type TemplateValues, valuesOf } from './template-values.js';

/** On tickets of sessions that were planned more than `backlogAfterMs` after they happened. */
export const LATE_TAG = 'sluice_late';
export const VOICEMAIL_TAG = 'ccai_voicemail';
export const ABANDONED_TAG = 'ccai_abandoned';

export interface Planning {
  readonly event: InteractionEvent;
  readonly policy: TicketPolicy;
  readonly policyVersion: number;
  /** Nothing of it is to be written. */
  readonly dryRun?: boolean;
  readonly render: Render;
  readonly nowMs: number;
}

/** Where a command stands among those of its event. */
const ORDINALS: Readonly<Record<CommandKind, number>> = { ensureTicket: 0, addComment: 1, setFields: 2 };

/**
 * What one event means for the CRM: at most its ticket, a comment and a change of fields. Knows nothing of other events:
 * every event that may be the first to need the ticket asks for it under the same command id, so that duplicates, gaps
 * and any order come to one ticket, and each later one brings all it knows, so that a gap before it loses nothing.
 */
export function planCommands(planning: Planning): readonly Command[] {
  const { event, policy, render, nowMs } = planning;
  const values = valuesOf(event);
  const late = nowMs - event.occurredAt > policy.backlogAfterMs;
  const actions = [
    needsTicket(event, policy) ? ensureTicket(planning, values, late) : null,
    addComment(event, policy, values, render),
    isLast(event) ? setFields(policy, values, render) : null,
  ];
  return actions.filter((action) => action !== null).map((action) => commandOf(planning, action, late));
}

/** A session's last three events: with any of them it gets its ticket, however short it was. */
function isLast({ type }: InteractionEvent): boolean {
  return type === 'ended' || type === 'dispositioned' || type === 'metadata';
}

function needsTicket(event: InteractionEvent, policy: TicketPolicy): boolean {
  switch (event.type) {
    case 'started':
    case 'routed':
      return false;
    case 'assigned':
      return policy.ticketAt === 'assigned' && hasWrittenEnough(event, policy);
    case 'active':
      // Also under `assigned`: that event may have been lost.
      return hasWrittenEnough(event, policy);
    case 'ended':
    case 'dispositioned':
    case 'metadata':
      return true;
    default:
      return event.type satisfies never;
  }
}

/** Chats may have to wait for some messages of the customer; where the source doesn't count them they don't. */
function hasWrittenEnough({ data }: InteractionEvent, policy: TicketPolicy): boolean {
  if (data.channel === 'call' || data.customerMessages === null) return true;
  return data.customerMessages >= policy.chatAfterCustomerMessages;
}

function ensureTicket({ event, policy, render }: Planning, values: TemplateValues, late: boolean): CommandAction {
  const subject = oneLine(render(policy.subject, values) ?? '', MAX_SUBJECT_LENGTH);
  const body = lines(render(policy.body, values) ?? '', MAX_BODY_LENGTH);
  const title = `${event.data.channel === 'chat' ? 'Chat' : 'Call'} ${oneLine(event.data.sessionId, 130)}`;
  const note = late ? `\n\nWritten down late: this happened at ${isoOf(event.occurredAt)}.` : '';
  return {
    kind: 'ensureTicket',
    mode: policy.mode,
    subject: subject === '' ? title : subject,
    body: `${body === '' ? title : body}${note}`,
    public: policy.bodyPublic,
    contact: event.data.contact,
    queuePath: event.data.queuePath,
    tags: [...new Set([...policy.tags, ...newTags(values), ...(late ? [LATE_TAG] : [])])],
    customFields: renderFields(policy, values, render),
  };
}

function addComment(
  event: InteractionEvent,
  policy: TicketPolicy,
  values: TemplateValues,
  render: Render,
): CommandAction | null {
  const comment = Object.hasOwn(policy.comments, event.type) ? policy.comments[event.type] : null;
  if (!comment) return null;
  const body = lines(render(comment.body, values) ?? '', MAX_BODY_LENGTH);
  if (body === '') return null;
  // A record is no happening of its own: a comment that would read the same without its facts isn't worth a call.
  if (event.type === 'metadata' && body === lines(render(comment.body, basicsOf(values)) ?? '', MAX_BODY_LENGTH))
    return null;
  return { kind: 'addComment', body, public: comment.public };
}

/** What became known since the ticket's first steps; null where that is nothing. */
function setFields(policy: TicketPolicy, values: TemplateValues, render: Render): CommandAction | null {
  const before = renderFields(policy, basicsOf(values), render);
  const customFields = changedFields(renderFields(policy, values, render), before);
  const tags = newTags(values);
  return tags.length === 0 && customFields.length === 0 ? null : { kind: 'setFields', tags, customFields };
}

function newTags({ voicemail, abandoned }: TemplateValues): readonly string[] {
  return [...(voicemail ? [VOICEMAIL_TAG] : []), ...(abandoned ? [ABANDONED_TAG] : [])];
}

function commandOf({ event, policyVersion, dryRun, nowMs }: Planning, action: CommandAction, late: boolean): Command {
  const { account, data } = event;
  const ordinal = ORDINALS[action.kind];
  return {
    id: commandIdOf(account, data.interactionId, event.id, action.kind, ordinal),
    type: action.kind,
    schemaVersion: SCHEMA_VERSION,
    account,
    occurredAt: event.occurredAt,
    recordedAt: nowMs,
    causationId: event.id,
    traceparent: event.traceparent,
    data: {
      interactionId: data.interactionId,
      action,
      eventAt: event.occurredAt,
      eventRank: rankOf(event.type),
      ordinal,
      priority: priorityOf(event, action.kind, late),
      notAfter: null,
      policyVersion,
      ...(dryRun ? { dryRun } : {}),
    },
  };
}

/** The agent waits for the ticket while the customer talks; nobody waits for what follows. */
function priorityOf({ type }: InteractionEvent, kind: CommandKind, late: boolean): Priority {
  if (late) return 'backlog';
  return kind === 'ensureTicket' && (type === 'assigned' || type === 'active') ? 'live' : 'normal';
}
