import { Counter, Histogram } from 'prom-client';
import { metrics } from '#telemetry';

const decisions = new Counter({
  name: 'sluice_ledger_decisions_total',
  help: 'Requests answered by the ledger, by what was asked and what was answered.',
  labelNames: ['account', 'verb', 'answer'] as const,
  registers: [metrics],
});
const turnSeconds = new Histogram({
  name: 'sluice_ledger_turn_seconds',
  help: 'How long one turn takes, from its first statement until it is durable.',
  buckets: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2],
  registers: [metrics],
});
const turnRequests = new Histogram({
  name: 'sluice_ledger_turn_requests',
  help: 'How many requests are decided in one turn.',
  buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512],
  registers: [metrics],
});

interface Decided {
  readonly asked: { readonly account: string; readonly verb: string };
  readonly answer: { readonly answer: string };
}

/** Counts a turn's answers, and how long it took. */
export function countTurn(decided: readonly Decided[], tookMs: number): void {
  turnSeconds.observe(tookMs / 1_000);
  turnRequests.observe(decided.length);
  const counts = new Map<string, { account: string; verb: string; answer: string; times: number }>();
  for (const {
    asked: { account, verb },
    answer: { answer },
  } of decided) {
    const key = `${account} ${verb} ${answer}`;
    const known = counts.get(key);
    if (known) known.times += 1;
    else counts.set(key, { account, verb, answer, times: 1 });
  }
  for (const { times, ...labels } of counts.values()) decisions.inc(labels, times);
}
