/* How the comments of a creation, an update or an import are given. */
import { type JsonObject, listOf, objectOf, textOf } from './json.js';

/** The comment of a creation or an update: one, whatever else is sent. `description` stands in for it. */
export function commentOf(input: JsonObject): JsonObject | undefined {
  const comment = objectOf(input['comment']);
  if (comment) return comment;
  const text = textOf(input['comment']) ?? textOf(input['description']);
  return text === undefined ? undefined : { body: text };
}

/** The comments of an import: several, or one. */
export function importedComments(input: JsonObject): (JsonObject | undefined)[] {
  const comments = listOf(input['comments'])?.map((item) => objectOf(item));
  return comments && comments.length > 0 ? comments : [commentOf(input)];
}

/** A comment's words. */
export function bodyOfComment(comment: JsonObject | undefined): string {
  return textOf(comment?.['body'] ?? comment?.['html_body'] ?? comment?.['value']) ?? '';
}

/** The upload tokens that a comment attaches files by. */
export function uploadsOf(comment: JsonObject): string[] {
  const uploads = comment['uploads'];
  return typeof uploads === 'string' ? [uploads] : (listOf(uploads)?.flatMap((token) => textOf(token) ?? []) ?? []);
}
