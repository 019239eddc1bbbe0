import { INTERACTION_EVENTS, type TicketPolicy } from '#contracts';
import { DEFAULT_POLICY } from './default-policy.js';
import { durationMs } from './duration.js';
import { type Path, type ProblemReport, unknownKeyMessage } from './problem-report.js';
import { CommentSection, CustomFieldSection, PolicySection } from './sections.js';

const MAX_CUSTOM_FIELDS = 100;

/** How Sluice writes, with the default for whatever isn't said. */
export function readPolicy(report: ProblemReport, path: Path, value: unknown): TicketPolicy | null {
  if (value === undefined || value === null) return DEFAULT_POLICY;
  const section = report.section(PolicySection, path, value);
  if (!section) return null;
  const comments = readComments(report, [...path, 'comments'], section.comments);
  const customFields = readCustomFields(report, [...path, 'customFields'], section.customFields);
  if (!comments || !customFields) return null;
  return {
    ticketAt: section.ticketAt ?? DEFAULT_POLICY.ticketAt,
    chatAfterCustomerMessages: section.chatAfterCustomerMessages ?? DEFAULT_POLICY.chatAfterCustomerMessages,
    mode: section.mode ?? DEFAULT_POLICY.mode,
    subject: section.subject ?? DEFAULT_POLICY.subject,
    body: section.body ?? DEFAULT_POLICY.body,
    bodyPublic: section.bodyPublic ?? DEFAULT_POLICY.bodyPublic,
    comments,
    tags: section.tags ?? DEFAULT_POLICY.tags,
    customFields,
    backlogAfterMs: durationMs(section.backlogAfter ?? '') ?? DEFAULT_POLICY.backlogAfterMs,
  };
}

/** Comments by event: what is named replaces the default, `null` (written `ended:` or `ended: null`) switches it off. */
function readComments(report: ProblemReport, path: Path, value: unknown): TicketPolicy['comments'] | null {
  if (value === undefined || value === null) return DEFAULT_POLICY.comments;
  const entries = report.mapAt(path, value);
  if (!entries) return null;
  const comments: Record<string, { body: string; public: boolean } | null> = { ...DEFAULT_POLICY.comments };
  let sound = true;
  for (const [event, entry] of Object.entries(entries)) {
    if (!(INTERACTION_EVENTS as readonly string[]).includes(event)) {
      report.addKey([...path, event], unknownKeyMessage(event, INTERACTION_EVENTS));
      sound = false;
      continue;
    }
    const section = entry === null ? null : report.section(CommentSection, [...path, event], entry);
    comments[event] = section && { body: section.body, public: section.public ?? false };
    if (entry !== null && !section) sound = false;
  }
  return sound ? comments : null;
}

function readCustomFields(report: ProblemReport, path: Path, value: unknown): TicketPolicy['customFields'] | null {
  if (value === undefined || value === null) return DEFAULT_POLICY.customFields;
  if (!Array.isArray(value) || value.length > MAX_CUSTOM_FIELDS) {
    report.add(path, `must be a list of at most ${MAX_CUSTOM_FIELDS} fields, each with id, value and type`);
    return null;
  }
  const seen = new Set<number>();
  const fields = value.map((entry: unknown, index) => {
    const section = report.section(CustomFieldSection, [...path, index], entry);
    if (section && seen.has(section.id))
      report.add([...path, index, 'id'], `field ${section.id} is set twice; keep one`);
    if (section) seen.add(section.id);
    return section && { id: section.id, value: section.value, type: section.type ?? ('text' as const) };
  });
  return fields.includes(null) ? null : (fields as TicketPolicy['customFields']);
}
