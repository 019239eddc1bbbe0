import { type Answer, answer } from './exchange.js';

/** One reason why a record is not valid, as Zendesk lists them per field. */
export interface FieldError {
  readonly field: string;
  readonly description: string;
  readonly error: 'BlankValue' | 'InvalidValue' | 'DuplicateValue';
}

/** 401: who calls is not known. */
export function notAuthenticated(): Answer {
  return answer(401, { error: "Couldn't authenticate you" });
}

/** 403: who calls is known, but may not. */
export function forbidden(message = 'You do not have access to this page. Please contact the account owner.'): Answer {
  return answer(403, { error: { title: 'Forbidden', message } });
}

/** 404: no such record. */
export function recordNotFound(): Answer {
  return answer(404, { error: 'RecordNotFound', description: 'Not found' });
}

/** 404: no such call. */
export function invalidEndpoint(): Answer {
  return answer(404, { error: 'InvalidEndpoint', description: 'Not found' });
}

/** 422: the record breaks Zendesk's rules; every field says why. */
export function recordInvalid(errors: readonly FieldError[]): Answer {
  const details: Record<string, { description: string; error: string }[]> = {};
  for (const { field, description, error } of errors) (details[field] ??= []).push({ description, error });
  return answer(422, { error: 'RecordInvalid', description: 'Record validation errors', details });
}

/** 400: a body that isn't JSON, or lacks the object that the call needs. */
export function badRequest(message: string): Answer {
  return answer(400, { error: { title: 'Invalid attribute', message } });
}

/** 400: a parameter of pagination that isn't valid. */
export function invalidPagination(detail: string): Answer {
  return answer(400, {
    errors: [{ code: 'InvalidPaginationParameter', title: 'Invalid pagination parameter', detail }],
  });
}

/** 400: a parameter with a value that isn't valid. */
export function invalidValue(description: string): Answer {
  return answer(400, { error: 'InvalidValue', description });
}

/** 400: more than `max` items. Zendesk leaves the parameter's name blank. */
export function tooManyValues(max: number): Answer {
  const description = `Parameter  cannot specify more than ${max} values`;
  return answer(400, { error: 'TooManyValues', description, max_count: max });
}

/** 400: an Idempotency-Key that was used with another body. */
export function idempotencyMismatch(): Answer {
  const description = "Request parameters don't match the given idempotency key";
  return answer(400, { error: 'IdempotentRequestError', description });
}

/** 409: somebody else changed the record meanwhile, or makes it at this moment. */
export function updateConflict(description: string): Answer {
  return answer(409, { error: 'UpdateConflict', description });
}

/** 413: the upload is over the account's size. */
export function attachmentTooLarge(): Answer {
  return answer(413, { error: 'AttachmentTooLarge', description: 'The attachment is too large' });
}

/** 429 of the account's minute: plain text, 50 bytes. */
export function accountLimitReached(retryAfterSeconds: number): Answer {
  return {
    status: 429,
    body: null,
    text: 'Number of allowed API requests per minute exceeded',
    headers: { 'retry-after': String(retryAfterSeconds) },
  };
}

/** 429 of a day's limit: our own wording, Zendesk has no such limit. */
export function dayLimitReached(retryAfterSeconds: number): Answer {
  return {
    status: 429,
    body: null,
    text: 'Number of allowed API requests per day exceeded',
    headers: { 'retry-after': String(retryAfterSeconds) },
  };
}

/** 429 of a limit below the account's: JSON. */
export function endpointLimitReached(retryAfterSeconds: number): Answer {
  const description = 'You have exceeded the rate limit of this endpoint. Please wait and try again.';
  const headers = { 'retry-after': String(retryAfterSeconds) };
  return answer(429, { error: 'APIRateLimitExceeded', description }, headers);
}

/** 429 before Zendesk's application has seen the call. */
export function edgeRefusal(retryAfterSeconds: number | undefined): Answer {
  const headers = retryAfter(retryAfterSeconds);
  return { status: 429, body: null, text: 'Rate limited by Zendesk edge protection', headers };
}

/** As many bulk jobs are in flight as may be. Which status goes with it is open, hence a switch. */
export function tooManyJobs(status: number, jobIds: readonly string[]): Answer {
  const description = 'Too many update tickets jobs are currently queued or running. Try again later.';
  return answer(status, { error: 'TooManyJobs', description, current_job_ids: jobIds });
}

/** 500 or 503 and their like. */
export function serverError(status: number, retryAfterSeconds: number | undefined, text: string | undefined): Answer {
  const headers = retryAfter(retryAfterSeconds);
  if (text !== undefined) return { status, body: null, text, headers };
  if (status === 503) return answer(status, { error: 'DatabaseTimeout' }, headers);
  return answer(status, { error: 'InternalServerError' }, headers);
}

function retryAfter(seconds: number | undefined): Record<string, string> {
  return seconds === undefined ? {} : { 'retry-after': String(seconds) };
}
