import type { Rejected, Unavailable } from '#contracts';

/** An answer of the protocol as HTTP tells it. */
export interface HttpAnswer {
  readonly status: number;
  /** Whole seconds for `Retry-After`; null where asking again the same way doesn't help, or nothing has to be waited for. */
  readonly retryAfterS: number | null;
  readonly body: object;
}

/** Statuses of rejections; any other is 422: understood, and pointless. */
const STATUS_OF_CODE: Readonly<Record<string, number>> = {
  malformed_json: 400,
  invalid_request: 400,
  bad_request: 400,
  bad_credentials: 401,
  not_found: 404,
  request_id_reused: 409,
  too_many_calls: 409,
  unknown_call: 409,
  body_too_large: 413,
  wrong_content_type: 415,
};
const UNPROCESSABLE = 422;

/** The status that says of an answer of the protocol what its body says; the body is the answer itself. */
export function httpAnswer(answer: unknown): HttpAnswer {
  const told = isAnswer(answer) ? answer : UNREADABLE;
  switch (told.answer) {
    case 'refused':
      return { status: 429, retryAfterS: secondsOf(told['retryInMs']), body: told };
    case 'unavailable':
      return { status: 503, retryAfterS: secondsOf(told['retryInMs']), body: told };
    case 'rejected':
      return { status: statusOf(told['code']), retryAfterS: null, body: told };
    default:
      return { status: 200, retryAfterS: null, body: told };
  }
}

function statusOf(code: unknown): number {
  return typeof code === 'string' && Object.hasOwn(STATUS_OF_CODE, code) ? STATUS_OF_CODE[code]! : UNPROCESSABLE;
}

/** At least one: a client that is told 0 would come back at once. */
function secondsOf(retryInMs: unknown): number {
  return Math.max(1, Math.ceil((typeof retryInMs === 'number' ? retryInMs : DEFAULT_RETRY_MS) / 1_000));
}

const DEFAULT_RETRY_MS = 1_000;

const UNREADABLE: Unavailable & Readonly<Record<string, unknown>> = {
  answer: 'unavailable',
  code: 'internal_error',
  message: 'the ledger gave an answer of no known sort',
  retryInMs: DEFAULT_RETRY_MS,
};

function isAnswer(value: unknown): value is { readonly answer: string } & Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && typeof (value as Partial<Rejected>).answer === 'string';
}
