/** A response as the table sees it. Header names in lower case. */
export interface CrmResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: ResponseBody;
}

/** A body after its content type was looked at; never parsed before. */
export type ResponseBody =
  | { readonly type: 'json'; readonly value: unknown }
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'none' }
  /** Longer than we read, or not what its content type says. */
  | { readonly type: 'unreadable'; readonly reason: string };

export type LimitNamed = 'account' | 'endpoint' | 'edge' | 'jobs';

export type Verdict =
  | { readonly verdict: 'done' }
  /** The CRM certainly did nothing; the same may go again after a while. */
  | { readonly verdict: 'retryAfter'; readonly waitMs: number | null; readonly code: string }
  /** A limit refused; nothing was done. `name` is the endpoint limit's, where told. */
  | {
      readonly verdict: 'waitForLimit';
      readonly limit: LimitNamed;
      readonly name: string | null;
      readonly waitMs: number | null;
    }
  /** It may or may not have taken effect. */
  | { readonly verdict: 'unknown'; readonly waitMs: number | null; readonly code: string }
  /** The credential is refused: nothing of this account can succeed. */
  | { readonly verdict: 'pauseAccount'; readonly code: string }
  /** The ticket is closed for good: what was to be written needs a follow-up ticket. */
  | { readonly verdict: 'followUp' }
  /** A value that must be unique is taken already: `fields` names which. */
  | { readonly verdict: 'duplicate'; readonly fields: readonly string[] }
  | { readonly verdict: 'park'; readonly code: string; readonly text: string };

/**
 * Every answer of the CRM to what to do about it (docs/zendesk.md, "Refusals"). `effect` = the call changes something, so a
 * server's failure leaves its outcome unknown; a call that only asks is simply asked again. Waits are what the headers
 * say, in the CRM's own time. Texts name fields and error codes, never values: those are the customer's.
 */
export function judgeResponse(response: CrmResponse, effect: boolean): Verdict {
  const { status } = response;
  const error = errorOf(response.body);
  // Its status isn't documented, so the error's name counts (docs/zendesk.md).
  if (error.code === 'TooManyJobs')
    return { verdict: 'waitForLimit', limit: 'jobs', name: 'inflight-jobs', waitMs: waitMsOf(response) };
  if (status >= 200 && status < 300) return judgeSuccess(response, effect);
  if (status === 429) return judgeTooMany(response);
  if (status >= 500) return failed(effect, waitMsOf(response), error.code ?? `http_${status}`);
  switch (status) {
    case 401:
      return { verdict: 'pauseAccount', code: 'unauthorized' };
    case 400:
      // The key was used with other bytes: an earlier attempt may have made the ticket, so it is looked up.
      if (error.code === 'IdempotentRequestError')
        return { verdict: 'unknown', waitMs: null, code: 'idempotency_mismatch' };
      return park(`crm_${snake(error.code ?? 'bad_request')}`, error.text);
    case 403:
      return park('crm_forbidden', error.text);
    case 404:
      return park('crm_not_found', error.text);
    case 408:
      return failed(effect, waitMsOf(response), 'http_408');
    case 409:
      return { verdict: 'retryAfter', waitMs: waitMsOf(response), code: 'conflict' };
    case 413:
      return park('crm_too_large', error.text);
    case 422:
      return judgeInvalid(response, error);
    default:
      return park(`crm_http_${status}`, error.text);
  }
}

function judgeSuccess({ body }: CrmResponse, effect: boolean): Verdict {
  if (body.type === 'json') return { verdict: 'done' };
  // A proxy's page in place of an answer: whether the CRM saw the call can't be told from it.
  return failed(effect, null, 'unreadable_answer');
}

function failed(effect: boolean, waitMs: number | null, code: string): Verdict {
  return effect
    ? { verdict: 'unknown', waitMs, code: snake(code) }
    : { verdict: 'retryAfter', waitMs, code: snake(code) };
}

function judgeTooMany(response: CrmResponse): Verdict {
  const waitMs = waitMsOf(response);
  const text = response.body.type === 'text' ? response.body.text : '';
  if (/edge protection/i.test(text)) return { verdict: 'waitForLimit', limit: 'edge', name: null, waitMs };
  const closed = closedEndpoint(response.headers);
  if (closed && accountRemaining(response.headers) !== 0)
    return { verdict: 'waitForLimit', limit: 'endpoint', name: closed.name, waitMs: waitMs ?? closed.resetsMs };
  if (accountRemaining(response.headers) === 0 || /requests per minute/i.test(text))
    return { verdict: 'waitForLimit', limit: 'account', name: null, waitMs: waitMs ?? resetMsOf(response.headers) };
  const named = accountRemaining(response.headers) !== null || errorOf(response.body).code === 'APIRateLimitExceeded';
  return { verdict: 'waitForLimit', limit: named ? 'endpoint' : 'edge', name: null, waitMs };
}

function judgeInvalid(response: CrmResponse, error: ErrorFound): Verdict {
  if (isClosed(error.details)) return { verdict: 'followUp' };
  const duplicates = error.details
    .filter(({ error: name }) => name === 'DuplicateValue')
    .map(({ field }) => fieldOf(field));
  if (duplicates.length > 0) return { verdict: 'duplicate', fields: [...new Set(duplicates)] };
  return park('crm_invalid', error.text);
}

/** Zendesk: `details.base: "Status: closed is not valid"` where the ticket can't be updated any more. */
function isClosed(details: readonly Detail[]): boolean {
  return details.some(({ field, description }) => (field === 'base' || field === 'status') && saysClosed(description));
}

/** Does a validation text say that the ticket is closed? Bulk results carry it as plain text. */
export function saysClosed(description: string): boolean {
  return /\bclosed\b/i.test(description) && /\bstatus\b/i.test(description);
}

const park = (code: string, text: string): Verdict => ({ verdict: 'park', code, text });

interface Detail {
  readonly field: string;
  readonly error: string;
  readonly description: string;
}

interface ErrorFound {
  readonly code: string | null;
  /** Error names and fields only. */
  readonly text: string;
  readonly details: readonly Detail[];
}

/** The error in any of the five envelopes that Zendesk uses. */
function errorOf(body: ResponseBody): ErrorFound {
  if (body.type === 'text') return { code: null, text: 'a plain text answer', details: [] };
  if (body.type !== 'json' || !isRecord(body.value)) return { code: null, text: 'no readable reason', details: [] };
  const { error, errors, details } = body.value;
  const found = detailsOf(details);
  if (typeof error === 'string') {
    const code = nameOf(error);
    const reasons = found.map(({ field, error: name }) => `${fieldOf(field)} ${nameOf(name) ?? 'Invalid'}`).join(', ');
    return { code, text: [code ?? 'refused', ...(reasons === '' ? [] : [reasons])].join(': '), details: found };
  }
  if (isRecord(error)) return { code: null, text: nameOf(textAt(error, 'title')) ?? 'refused', details: found };
  const first: unknown = Array.isArray(errors) ? errors[0] : undefined;
  if (isRecord(first))
    return {
      code: nameOf(textAt(first, 'code')),
      text: nameOf(textAt(first, 'title')) ?? nameOf(textAt(first, 'code')) ?? 'refused',
      details: found,
    };
  return { code: null, text: 'no readable reason', details: found };
}

function detailsOf(details: unknown): Detail[] {
  if (!isRecord(details)) return [];
  return Object.entries(details).flatMap(([field, list]) =>
    (Array.isArray(list) ? list : [list]).map((entry: unknown): Detail => {
      if (typeof entry === 'string') return { field, error: 'Invalid', description: entry };
      if (!isRecord(entry)) return { field, error: 'Invalid', description: '' };
      return { field, error: textAt(entry, 'error') ?? 'Invalid', description: textAt(entry, 'description') ?? '' };
    }),
  );
}

/** Which `zendesk-ratelimit-<name>: total=…; remaining=0; resets=…` is at its end. */
function closedEndpoint(headers: CrmResponse['headers']): { name: string; resetsMs: number | null } | null {
  for (const [header, value] of Object.entries(headers)) {
    const name = /^zendesk-rate-?limit-(.+)$/.exec(header)?.[1];
    if (!name || !/(?:^|[;\s])remaining=0(?:[;\s]|$)/.test(value)) continue;
    const resets = /(?:^|[;\s])resets=(\d+)/.exec(value)?.[1];
    return { name, resetsMs: resets === undefined ? null : Number(resets) * 1_000 };
  }
  return null;
}

function accountRemaining(headers: CrmResponse['headers']): number | null {
  for (const name of ['x-rate-limit-remaining', 'ratelimit-remaining', 'rate-limit-remaining']) {
    const value = headers[name];
    if (value !== undefined && /^\d+$/.test(value.trim())) return Number(value);
  }
  return null;
}

function resetMsOf(headers: CrmResponse['headers']): number | null {
  return secondsOf(headers['ratelimit-reset'] ?? headers['rate-limit-reset']);
}

function waitMsOf({ headers }: CrmResponse): number | null {
  return secondsOf(headers['retry-after']);
}

/** Longest wait taken from a header, ms: a nonsensical one must not close an account for ever. */
const LONGEST_TOLD_WAIT_MS = 86_400_000;

function secondsOf(value: string | undefined): number | null {
  if (value === undefined || !/^\s*\d+(\.\d+)?\s*$/.test(value)) return null;
  return Math.min(Number(value) * 1_000, LONGEST_TOLD_WAIT_MS);
}

/** Names of errors as Zendesk gives them; anything else may be somebody's text, and that isn't told on. */
function nameOf(text: string | null): string | null {
  return text !== null && /^[A-Za-z]{1,60}$/.test(text) ? text : null;
}

/** Fields by the names that the API knows; others (a custom field's title) may be somebody's text. */
function fieldOf(text: string): string {
  return /^[a-z][a-z0-9_.]{0,59}$/.test(text) ? text : 'a field';
}

function snake(text: string): string {
  return text.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toLowerCase();
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textAt(record: Record<string, unknown>, key: string): string | null {
  const value = record[key];
  return typeof value === 'string' ? value : null;
}
