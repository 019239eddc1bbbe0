import { Command } from 'commander';
import { systemClock } from '#clock';
import type { Stack } from '#embedded';
import { runDemo } from './demo.js';
import { isClean, reportForPeople, reportForPrograms } from './report.js';

interface Flags {
  readonly check?: boolean;
  readonly json?: boolean;
  readonly keep?: boolean;
}

const flags = new Command('demo')
  .description(
    'The whole of Sluice with a simulated Zendesk: a few hundred calls and chats, a burst, an outage, a report.',
  )
  .option('--check', 'exit with 1 when anything is lost, doubled or refused, or the books disagree')
  .option('--json', 'end with one JSON object on standard output; all else goes to standard error')
  .option('--keep', 'leave everything running after the report, until Ctrl-C')
  .parse()
  .opts<Flags>();

const isTerminal = process.stderr.isTTY;
let isOpenLine = false;

/** Progress replaces its own line on a terminal; elsewhere one line a few seconds is enough. */
const LINE_EVERY_MS = 5_000;
let nextLineAtMs = 0;

function say(line: string, replace = false): void {
  if (!replace) process.stderr.write(`${isOpenLine ? '\n' : ''}${line}\n`);
  else if (isTerminal) process.stderr.write(`\r\u001b[2K${line}`);
  else if (systemClock.monotonicMs() >= nextLineAtMs) {
    nextLineAtMs = systemClock.monotonicMs() + LINE_EVERY_MS;
    process.stderr.write(`${line}\n`);
  }
  isOpenLine = replace && isTerminal;
}

const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => stopping.abort(new Error(`stopped by ${signal}`)));

async function keepRunning(stack: Stack): Promise<void> {
  say(`Everything keeps running until Ctrl-C:
  ingest     ${stack.service('ingest').url}
  crm-writer ${stack.service('crm-writer').url}
  Zendesk    ${stack.simulator?.url ?? ''} (control door /_control, docs/simulator.md)
  NATS       ${stack.nats.url}
  logs       ${stack.logDirectory}`);
  await new Promise<void>((resolve) => stopping.signal.addEventListener('abort', () => resolve(), { once: true }));
}

try {
  const report = await runDemo({
    clock: systemClock,
    say,
    stopping: stopping.signal,
    ...(flags.keep ? { beforeStop: keepRunning } : {}),
  });
  say(reportForPeople(report));
  if (flags.json) process.stdout.write(`${JSON.stringify(reportForPrograms(report))}\n`);
  process.exitCode = flags.check && !isClean(report) ? 1 : 0;
} catch (error) {
  say(`The demo ended early: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = stopping.signal.aborted ? 130 : 1;
}
process.exit();
