import { Counter, Histogram } from 'prom-client';
import { metrics } from '#telemetry';

/** Answers since metrics were last read, by account, verb and answer: counting is on every request's way, labels cost. */
const counted = new Map<string, Map<string, number>>();

new Counter({
  name: 'sluice_ledger_decisions_total',
  help: 'Requests answered by the ledger, by what was asked and what was answered.',
  labelNames: ['account', 'verb', 'answer'] as const,
  registers: [metrics],
  collect() {
    for (const [account, times] of counted)
      for (const [what, number] of times) {
        const [verb = '', answer = ''] = what.split(' ');
        this.inc({ account, verb, answer }, number);
      }
    counted.clear();
  },
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
  for (const { asked, answer } of decided) {
    let times = counted.get(asked.account);
    if (!times) counted.set(asked.account, (times = new Map()));
    const what = `${asked.verb} ${answer.answer}`;
    times.set(what, (times.get(what) ?? 0) + 1);
  }
}
