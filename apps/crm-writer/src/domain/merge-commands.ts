import type { CustomField } from '#contracts';
import { inOrder, type WaitingCommand } from './write.js';

/**
 * Longest text of one comment, characters. Zendesk refuses comments beyond 64 KiB; a character takes up to three bytes
 * in what callers write, but ordinary text stays far below this bound, and a lone longer comment is sent as it is.
 */
export const MAX_COMMENT_CHARS = 60_000;
/** Most commands that one call carries for one interaction. */
export const MAX_COMMANDS_PER_ITEM = 50;
/** What stands between two texts merged into one comment. */
const BETWEEN_COMMENTS = '\n\n';

/** What one call does to one ticket, in our words. */
export interface MergedCommands {
  /** In order of effect; a prefix of the interaction's waiting commands. */
  readonly commandIds: readonly string[];
  readonly comment: { readonly body: string; readonly public: boolean } | null;
  readonly tags: readonly string[];
  readonly customFields: readonly CustomField[];
}

/**
 * The longest prefix of an interaction's waiting commands that one call can carry without losing anything: texts of the
 * same visibility become one comment (a ticket takes one comment per call, and a public one can't hold an internal
 * text), tags are united, the last value of a custom field counts. `solo` takes the first command alone.
 */
export function mergeCommands(commands: readonly WaitingCommand[], solo: boolean): MergedCommands {
  const commandIds: string[] = [];
  const texts: string[] = [];
  const tags = new Set<string>();
  const fields = new Map<number, CustomField>();
  let chars = 0;
  let isPublic: boolean | null = null;
  for (const { commandId, action } of inOrder(commands)) {
    if (commandIds.length >= (solo ? 1 : MAX_COMMANDS_PER_ITEM)) break;
    if (action.kind !== 'setFields') {
      const added = action.body.length + BETWEEN_COMMENTS.length;
      if (isPublic !== null && (isPublic !== action.public || chars + added > MAX_COMMENT_CHARS)) break;
      isPublic = action.public;
      chars += added;
      texts.push(action.body);
    }
    if (action.kind !== 'addComment') {
      for (const tag of action.tags) tags.add(tag);
      for (const field of action.customFields) fields.set(field.id, field);
    }
    commandIds.push(commandId);
  }
  const comment = isPublic === null ? null : { body: texts.join(BETWEEN_COMMENTS), public: isPublic };
  return { commandIds, comment, tags: [...tags], customFields: [...fields.values()] };
}
