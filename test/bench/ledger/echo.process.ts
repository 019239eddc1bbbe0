/*
 * The yardstick: a bare subscription that answers every request with bytes prepared before, as large as the ledger's.
 */
import { connect } from '@nats-io/transport-node';
import { answerParent } from './side-process.js';

/** How to connect (told once), or what to answer from now on. */
export type EchoAsked =
  | { readonly servers: string; readonly user: string; readonly pass: string }
  | { readonly acquire: string; readonly settle: string };

/** Requests answered so far. */
export interface EchoTold {
  readonly echoed: number;
}

let acquire = new Uint8Array();
let settle = new Uint8Array();
let echoed = 0;

answerParent<EchoAsked, EchoTold>(async (asked) => {
  if ('servers' in asked) {
    const nc = await connect({ ...asked, noAsyncTraces: true });
    nc.subscribe('echo0.v1.*.*.acquire', {
      queue: 'echo',
      callback: (_error, msg) => void msg.respond(count(acquire)),
    });
    nc.subscribe('echo0.v1.*.*.settle', { queue: 'echo', callback: (_error, msg) => void msg.respond(count(settle)) });
    await nc.flush();
  } else {
    acquire = Buffer.from(asked.acquire);
    settle = Buffer.from(asked.settle);
  }
  return { echoed };
});

function count(answer: Uint8Array): Uint8Array {
  echoed += 1;
  return answer;
}
