/** What can go wrong with a request as a whole, by HTTP status. The codes are part of the contract (docs/errors.md). */
export const HTTP_ERRORS = {
  malformed_json: { status: 400, message: 'the body is not JSON in UTF-8' },
  body_not_object: { status: 400, message: 'the body must be a JSON object' },
  events_not_list: { status: 400, message: 'events must be a list' },
  bad_credentials: { status: 401, message: 'unknown account, or wrong user name or password' },
  not_found: { status: 404, message: 'POST /v1/<account>/ccai/calls, /chats or /metadata' },
  body_too_large: { status: 413, message: 'the body is larger than is read here' },
  too_many_events: { status: 413, message: 'too many events in one envelope' },
  wrong_content_type: { status: 415, message: 'the content type must be application/json' },
  nothing_accepted: { status: 422, message: 'no event of the body can be taken; see rejected' },
  bad_request: { status: 400, message: 'the request cannot be read' },
  internal_error: { status: 500, message: 'the request failed inside; it is logged' },
  stream_unavailable: { status: 503, message: 'events cannot be stored now; send the whole body again' },
  stream_full: { status: 503, message: 'the stream of events is full; send the whole body again' },
  overloaded: { status: 503, message: 'too many events are being stored; send the whole body again' },
  accounts_not_loaded: { status: 503, message: 'the accounts have not been read yet; send the whole body again' },
  credentials_unreadable: { status: 503, message: 'the password to compare with cannot be read; the operator is told' },
} as const;
export type HttpErrorCode = keyof typeof HTTP_ERRORS;

/** An answer that is no 202. */
export class HttpRefusal extends Error {
  readonly status: number;
  constructor(
    readonly code: HttpErrorCode,
    message: string = HTTP_ERRORS[code].message,
    readonly retryInMs: number | null = null,
    /** Put beside `error` in the answer. */
    readonly details: object = {},
  ) {
    super(message);
    this.name = 'HttpRefusal';
    this.status = HTTP_ERRORS[code].status;
  }
}
