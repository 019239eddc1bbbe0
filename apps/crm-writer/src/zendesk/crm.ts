import type { CrmResponse } from '../domain/judge-response.js';
import type { StoredRequest } from '../write.store.js';

/** Bounds of one call in time. Instants are monotonic ms. */
export interface Sending {
  /** The first byte may not leave after this instant: the grant isn't valid then. */
  readonly notAfterMonoMs: number;
  /** From the first byte to the end of the answer. */
  readonly timeoutMs: number;
}

export type CrmAnswer =
  | {
      readonly answer: 'answered';
      readonly response: CrmResponse;
      /** The body's bytes as they came, bounded. */
      readonly raw: Uint8Array;
      readonly sentAtMonoMs: number;
      readonly answeredAtMonoMs: number;
    }
  | {
      readonly answer: 'lost';
      readonly reason:
        | 'too_late'
        | 'not_connected'
        | 'timeout'
        | 'connection_lost'
        | 'answer_too_large'
        /** The secret can't be read (any more): nothing was sent. */
        | 'credential_unavailable';
      /** False only where certainly no byte left this machine. */
      readonly maybeArrived: boolean;
      readonly sentAtMonoMs: number | null;
    };

/** The CRM, behind one seam. `send` never rejects: whatever happens to a call is an answer. */
export interface Crm {
  send(request: StoredRequest, sending: Sending): Promise<CrmAnswer>;
  /** Gives up its connections. */
  close(): Promise<void>;
}
