import { Counter } from 'prom-client';
import { metrics } from '#telemetry';

/** Events by what became of them: planned, retried or put aside. */
export const eventsPlanned = new Counter({
  name: 'sluice_planner_events_total',
  help: 'Interaction events by account and what became of them: ack, retryAfter or deadLetter.',
  labelNames: ['account', 'outcome'],
  registers: [metrics],
});

/** Commands that were made durable; the same one planned again counts again. */
export const commandsPlanned = new Counter({
  name: 'sluice_planner_commands_total',
  help: 'Commands stored, by account, kind and priority.',
  labelNames: ['account', 'kind', 'priority'],
  registers: [metrics],
});

/** Renderings that gave way to plain words. */
export const templatesFailed = new Counter({
  name: 'sluice_planner_template_failures_total',
  help: 'Templates that could not be rendered; the ticket has plain words instead.',
  registers: [metrics],
});
