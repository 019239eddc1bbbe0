/**
 * What becomes of a delivered message; only this lib turns it into JetStream's ack, nak or term.
 * - `ack`: its effect is safe.
 * - `retryAfter`: something is broken right now; deliver it again after `delayMs`. Never for waiting work: it fills `max_ack_pending`.
 * - `deadLetter`: it can never succeed; kept on DEAD_LETTERS with the reason, and not delivered again.
 */
export type Disposition =
  | { readonly kind: 'ack' }
  | { readonly kind: 'retryAfter'; readonly delayMs: number }
  | { readonly kind: 'deadLetter'; readonly reason: string };

export const ack: Disposition = Object.freeze({ kind: 'ack' });

/** Deliver it again after `delayMs`. */
export function retryAfter(delayMs: number): Disposition {
  return { kind: 'retryAfter', delayMs };
}

/** Put it aside for the operator; the reason in plain words, without customers' text. */
export function deadLetter(reason: string): Disposition {
  return { kind: 'deadLetter', reason };
}
