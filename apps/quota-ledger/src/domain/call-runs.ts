import type { CallKey } from '#contracts';
import { type Call, CALL_STATES, type Span } from './grant.js';

/** Neighbouring calls of a grant that stand alike: how many, in which state, from when, to when (epoch ms). */
export type CallRun = readonly [calls: number, state: number, from: number, to: number];

/** A grant's calls as they are stored: short where they stand alike, which they mostly do. */
export function runsOf(calls: readonly Call[]): CallRun[] {
  const runs: [number, number, number, number][] = [];
  for (const { state, span } of calls) {
    const last = runs.at(-1);
    const code = CALL_STATES.indexOf(state);
    if (last && last[1] === code && last[2] === span.from && last[3] === span.to) last[0] += 1;
    else runs.push([1, code, span.from, span.to]);
  }
  return runs;
}

/** The calls that were stored so. Calls of one run share their span. */
export function callsOf(runs: readonly CallRun[], keys: readonly (CallKey | null)[] | null): Call[] {
  const calls: Call[] = [];
  for (const [count, code, from, to] of runs) {
    const state = CALL_STATES[code];
    if (!state) throw new Error(`no call state has the number ${code}`);
    const span: Span = { from, to };
    for (let i = 0; i < count; i++) calls.push({ state, span, key: keys?.[calls.length] ?? null });
  }
  return calls;
}
