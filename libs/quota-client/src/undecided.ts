/** Codes by which a ledger said that nothing is decided before it knew the answer `unavailable`. */
const UNDECIDED_CODES: readonly unknown[] = ['unavailable', 'overloaded', 'internal_error'];

/** Did the ledger say that nothing is decided, or that it can't tell? The same request is to be sent again. */
export function isUndecided(answer: unknown): boolean {
  if (!isRecord(answer)) return false;
  if (answer['answer'] === 'unavailable') return true;
  return answer['answer'] === 'rejected' && UNDECIDED_CODES.includes(answer['code']);
}

/** When it says that asking again may help, ms; null where it says nothing of it. */
export function toldWaitMs(answer: unknown): number | null {
  return isRecord(answer) && typeof answer['retryInMs'] === 'number' ? Math.max(0, answer['retryInMs']) : null;
}

/** Is it a JSON object, or a list? */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
