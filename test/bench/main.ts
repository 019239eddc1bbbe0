/*
 * Runs one bench:   npm run bench -- <name> [--json] [--quick]
 * Progress goes to standard error. With --json the last line of standard output is one JSON object; without it the same facts are
 * printed as a list. Exit codes: 0 measured, 1 failed, 64 no such bench, 130 interrupted.
 */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import type { BenchResult, RunBench } from './bench.js';

const ENDING = '.bench.js';
const WRONG_USE = 64;
const INTERRUPTED = 130;

const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith(ENDING))
  .map((file) => file.slice(0, -ENDING.length))
  .sort();

const chosen = chosenBench();
if (chosen === null) process.exitCode = WRONG_USE;
else await runBench(chosen.name, chosen.json, chosen.quick);

function chosenBench(): { readonly name: string; readonly json: boolean; readonly quick: boolean } | null {
  try {
    const { values, positionals } = parseArgs({
      options: { json: { type: 'boolean', default: false }, quick: { type: 'boolean', default: false } },
      allowPositionals: true,
    });
    const [name, ...rest] = positionals;
    if (name !== undefined && rest.length === 0 && names.includes(name))
      return { name, json: values.json, quick: values.quick };
    say(name === undefined ? 'Which bench?' : `There is no bench ${[name, ...rest].join(' ')}.`);
  } catch (error) {
    say((error as Error).message);
  }
  say(`  npm run bench -- <${names.join(' | ')}> [--json] [--quick]`);
  return null;
}

async function runBench(name: string, json: boolean, quick: boolean): Promise<void> {
  const stopping = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopping.abort(new Error(signal)));
  const file = path.join(import.meta.dirname, `${name}${ENDING}`);
  const { run } = (await import(pathToFileURL(file).href)) as { readonly run: RunBench };
  try {
    const result = await run({ quick, say, signal: stopping.signal });
    process.stdout.write(json ? `${JSON.stringify(result)}\n` : listOf(result));
  } catch (error) {
    say(error instanceof Error ? (error.stack ?? error.message) : String(error));
    process.exitCode = stopping.signal.aborted ? INTERRUPTED : 1;
  }
}

function listOf(result: BenchResult): string {
  const width = Math.max(...Object.keys(result).map((key) => key.length));
  return Object.entries(result)
    .map(([key, value]) => `${key.padEnd(width)}  ${JSON.stringify(value)}\n`)
    .join('');
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
