import { type CustomTransportStrategy, type MessageHandler, RpcException, Server } from '@nestjs/microservices';
import { ValidationPipe, type ValidationError } from '@nestjs/common';
import type { Rejected } from '#contracts';
import { firstValueFrom, isObservable } from 'rxjs';
import { type RequestContext, RequestDoors, type RequestDoorsOptions } from './request-doors.js';

/** Throw it in a handler, pipe or filter to answer `{answer: 'rejected', code, message}`: asking the same again is pointless. */
export class DoorRejection extends RpcException {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super({ answer: 'rejected', code, message } satisfies Rejected);
  }
}

export interface NatsDoorsOptions extends Omit<RequestDoorsOptions, 'answerTo' | 'queue'> {
  /** The service's name: of its replicas, one answers each request. */
  readonly queue: string;
  /** `atStart` (default): every pattern listens from the start. `byHand`: only what `open` is called for. */
  readonly opens?: 'atStart' | 'byHand';
}

/**
 * Doors over NATS request/reply (`RequestDoors`) for Nest's handlers: `@MessagePattern('ingest.v1.*.*.calls')` of the
 * service's module, over its one connection. Pipes, guards, filters and interceptors work.
 */
export class NatsDoors extends Server implements CustomTransportStrategy {
  override readonly transportId = Symbol('nats-doors');
  readonly #options: NatsDoorsOptions;
  readonly #doors: RequestDoors;

  constructor(options: NatsDoorsOptions) {
    super();
    this.#options = options;
    this.#doors = new RequestDoors({ ...options, answerTo: rejectionIn });
  }

  /** Requests being answered. */
  get inFlight(): number {
    return this.#doors.inFlight;
  }

  /** Requests dropped since the start because their answer was wanted elsewhere than in an inbox. */
  get dropped(): number {
    return this.#doors.dropped;
  }

  /** Called by Nest once all handlers are known. */
  listen(callback: (error?: Error) => void): void {
    try {
      if (this.#options.opens !== 'byHand') for (const pattern of this.messageHandlers.keys()) this.open(pattern);
      callback();
    } catch (error) {
      callback(error as Error);
    }
  }

  /**
   * Begins to answer a subject (wildcards allowed) with the handler whose pattern covers it. No effect where it is open.
   *
   * @throws TypeError where no handler's pattern covers it
   */
  open(subject: string): void {
    if (this.#doors.isOpen(subject)) return;
    const found = [...this.messageHandlers].find(([pattern]) => covers(pattern, subject));
    if (!found) throw new TypeError(`no handler for ${subject}`);
    const handler = found[1];
    this.#doors.open(subject, (body, context) => answerOf(handler, body, context));
  }

  /** As `RequestDoors.close`. */
  close(subject?: string): Promise<void> {
    return this.#doors.close(subject);
  }

  /** Nest's interface: there are no events of this transport. */
  on(): never {
    throw new TypeError('NatsDoors has no events');
  }

  /** The connection that the doors are on. */
  unwrap<T>(): T {
    return this.#options.nc as T;
  }
}

/** Filters and interceptors answer with observables; plain handlers with values, which is the fast way. */
async function answerOf(handler: MessageHandler, body: unknown, context: RequestContext): Promise<unknown> {
  const answer: unknown = await handler(body, context);
  return isObservable(answer) ? await firstValueFrom(answer) : answer;
}

/** The rejection that an error tells of; null where it tells of something else. */
function rejectionIn(error: unknown): Rejected | null {
  const told = error instanceof RpcException ? error.getError() : error;
  return isRejected(told) ? told : null;
}

function isRejected(value: unknown): value is Rejected {
  return typeof value === 'object' && value !== null && (value as Partial<Rejected>).answer === 'rejected';
}

/** True where every subject that `subject` can match is matched by `pattern`; both may hold `*` and a last `>`. */
export function covers(pattern: string, subject: string): boolean {
  const wanted = pattern.split('.');
  const given = subject.split('.');
  for (const [i, token] of wanted.entries()) {
    if (token === '>') return given.length > i;
    const other = given[i];
    if (other === undefined || other === '>') return false;
    if (token !== '*' && token !== other) return false;
  }
  return wanted.length === given.length;
}

/**
 * The pipe for bodies described by a class with class-validator's decorators: `@Payload(doorValidation()) body: AcquireBody`.
 * What doesn't fit is answered as `invalid_request`, with the fields that are wrong (never their values). Unknown fields are dropped.
 */
export function doorValidation(): ValidationPipe {
  return new ValidationPipe({
    transform: true,
    whitelist: true,
    validationError: { target: false, value: false },
    exceptionFactory: (errors) => new DoorRejection('invalid_request', wrongFields(errors).join('; ')),
  });
}

/** Most wrong fields named in one answer. */
const WRONG_FIELDS_LIMIT = 20;

function wrongFields(errors: readonly ValidationError[], parent = ''): string[] {
  return errors
    .flatMap(({ property, constraints, children }) => [
      ...Object.values(constraints ?? {}).map((message) => `${parent}${message}`),
      ...wrongFields(children ?? [], `${parent}${property}.`),
    ])
    .slice(0, WRONG_FIELDS_LIMIT);
}
