import { Counter, Histogram } from 'prom-client';
import { metrics } from '#telemetry';

/** Calls to the CRM by what came of them. */
export const callsMade = new Counter({
  name: 'sluice_writer_calls_total',
  help: 'Calls to the CRM by account, kind and verdict.',
  labelNames: ['account', 'kind', 'verdict'],
  registers: [metrics],
});

/** How long the CRM takes. */
export const callSeconds = new Histogram({
  name: 'sluice_writer_call_seconds',
  help: 'From the first byte of a call to the end of its answer.',
  labelNames: ['account', 'kind'],
  buckets: [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
  registers: [metrics],
});

/** Asked for and not given. */
export const quotaRefusals = new Counter({
  name: 'sluice_writer_quota_refusals_total',
  help: 'Grants that the ledger refused, by account, kind of call and limit.',
  labelNames: ['account', 'kind', 'limit'],
  registers: [metrics],
});

/** Commands taken in. */
export const commandsTakenIn = new Counter({
  name: 'sluice_writer_commands_total',
  help: 'Commands of COMMANDS by account, repeated deliveries included.',
  labelNames: ['account'],
  registers: [metrics],
});
