import type { Limit } from '#limits';

/** What one response's headers say of one limit. Each may be absent. */
export interface HeaderStanding {
  readonly max: number | null;
  readonly remaining: number | null;
  /** Until the window ends, in the CRM's own seconds. */
  readonly resetSeconds: number | null;
}

type Headers = Readonly<Record<string, string>>;

/** Reads a limit's headers in whichever spelling they came; null where the response says nothing of it. */
export function headerStanding(limit: Limit, headers: Headers): HeaderStanding | null {
  for (const name of limit.headers.combined) {
    const value = headers[name];
    if (value !== undefined) return combined(value);
  }
  const standing = {
    max: firstNumber(headers, limit.headers.limit),
    remaining: firstNumber(headers, limit.headers.remaining),
    resetSeconds: firstNumber(headers, limit.headers.resetSeconds),
  };
  return standing.max === null && standing.remaining === null ? null : standing;
}

/** `total=100; remaining=99; resets=41` */
function combined(value: string): HeaderStanding {
  const parts = new Map<string, number>();
  for (const part of value.split(';')) {
    const [name, number] = part.split('=');
    const read = wholeNumber(number);
    if (name !== undefined && read !== null) parts.set(name.trim().toLowerCase(), read);
  }
  return {
    max: parts.get('total') ?? null,
    remaining: parts.get('remaining') ?? null,
    resetSeconds: parts.get('resets') ?? null,
  };
}

/** `retry-after` in the CRM's own seconds; null where absent or a date. */
export function retryAfterSeconds(headers: Headers): number | null {
  return wholeNumber(headers['retry-after']);
}

function firstNumber(headers: Headers, names: readonly string[]): number | null {
  for (const name of names) {
    const read = wholeNumber(headers[name]);
    if (read !== null) return read;
  }
  return null;
}

function wholeNumber(text: string | undefined): number | null {
  return text !== undefined && /^\s*\d{1,12}\s*$/.test(text) ? Number(text) : null;
}
