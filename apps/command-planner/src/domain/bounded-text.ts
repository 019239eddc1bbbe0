/** Longest subject; Zendesk's list shows less. In UTF-16 units, like the others. */
export const MAX_SUBJECT_LENGTH = 150;
/** Longest body or comment: Zendesk takes 64 KiB. */
export const MAX_BODY_LENGTH = 20_000;
export const MAX_FIELD_LENGTH = 1_000;

/** Text in one line, without surrounding blanks, cut to `most` with a sign that it was. */
export function oneLine(text: string, most: number): string {
  return cut(text.replace(/\s+/g, ' ').trim(), most);
}

/** Text of several lines: no blanks at line ends, never more than one empty line, cut to `most` with a sign that it was. */
export function lines(text: string, most: number): string {
  const tidy = text
    .slice(0, most * 2)
    .replace(/\r\n?/g, '\n')
    .replace(/[ \t]+$/gm, '')
    .replace(/\n{3,}/g, '\n\n')
    .trim();
  return cut(tidy, most);
}

function cut(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1).replace(/[\uD800-\uDBFF]$/, '')}…`;
}
