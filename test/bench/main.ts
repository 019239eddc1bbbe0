/*
 * Runs one bench:   npm run bench -- <name> [--json] [--quick] [the bench's own options]
 * Progress goes to standard error. With --json the last line of standard output is one JSON object; without it the same facts are
 * printed as a list. Exit codes: 0 measured, 1 failed, 64 no such bench, 130 interrupted.
 */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import type { BenchResult, OwnOptions, RunBench } from './bench.js';

const ENDING = '.bench.js';
const WRONG_USE = 64;
const INTERRUPTED = 130;

const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith(ENDING))
  .map((file) => file.slice(0, -ENDING.length))
  .sort();

const chosen = await chosenBench();
if (chosen === null) process.exitCode = WRONG_USE;
else await runBench(chosen);

interface Bench {
  readonly run: RunBench;
  readonly options?: OwnOptions;
}

interface Chosen {
  readonly bench: Bench;
  readonly json: boolean;
  readonly quick: boolean;
  readonly given: Readonly<Record<string, string | undefined>>;
}

async function chosenBench(): Promise<Chosen | null> {
  const args = process.argv.slice(2);
  const name = args.find((arg) => names.includes(arg));
  const bench = name === undefined ? null : await benchNamed(name);
  const own = bench?.options ?? {};
  try {
    const { values, positionals } = parseArgs({
      args,
      options: { ...own, json: { type: 'boolean', default: false }, quick: { type: 'boolean', default: false } },
      allowPositionals: true,
    });
    const { json, quick, ...given } = values;
    if (bench !== null && positionals.length === 1)
      return { bench, json, quick, given: given as Readonly<Record<string, string | undefined>> };
    say(positionals.length === 0 ? 'Which bench?' : `There is no bench ${positionals.join(' ')}.`);
  } catch (error) {
    say((error as Error).message);
  }
  const more = Object.keys(own).map((option) => ` [--${option} …]`);
  say(`  npm run bench -- <${names.join(' | ')}> [--json] [--quick]${more.join('')}`);
  return null;
}

async function benchNamed(name: string): Promise<Bench> {
  return (await import(pathToFileURL(path.join(import.meta.dirname, `${name}${ENDING}`)).href)) as Bench;
}

async function runBench({ bench, json, quick, given }: Chosen): Promise<void> {
  const stopping = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopping.abort(new Error(signal)));
  try {
    const result = await bench.run({ quick, say, signal: stopping.signal, given });
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
