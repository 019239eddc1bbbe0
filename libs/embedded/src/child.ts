import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { environmentWith } from './environment.js';
import { forgetProcess, watchdogScript, watchProcess } from './watchdog.js';

/** Longest wait for a process to be gone after SIGKILL; more means that the kernel can't end it. */
const GONE_WITHIN_MS = 10_000;
const LOG_TAIL_LINES = 20;

export interface ChildOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** Its environment, beside the machine's basics (see `environmentWith`). */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** As whom to run it, where that isn't ourselves. */
  readonly owner?: { readonly uid: number; readonly gid: number } | null;
  /** Standard error goes here, appended; standard output too, unless `onLine` takes it. */
  readonly logFile: string;
  readonly onLine?: (line: string) => void;
  /** How it is asked to stop, and how long it may take before SIGKILL, ms. */
  readonly stopSignal: NodeJS.Signals;
  readonly stopWithinMs: number;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A process of ours that runs. It never outlives us, and the terminal's Ctrl-C reaches only us. */
export interface Child {
  readonly pid: number;
  /** Resolves when it is gone, for whatever reason. */
  readonly exited: Promise<Exit>;
  hasExited(): boolean;
  /** Asks it to stop, kills it where it doesn't in time. Resolves when it is gone; fine to call twice. */
  stop(): Promise<Exit>;
  /** kill -9, at once. */
  kill9(): Promise<Exit>;
  /** The last lines of its log, for an error message. */
  logTail(): string;
}

/** Starts a process. Rejects where it can't be started at all (no such file, no permission). */
export async function startChild(options: ChildOptions): Promise<Child> {
  const child = spawnLogged(options);
  const exited = new Promise<Exit>((resolve) => {
    child.once('exit', (code, signal) => {
      if (child.pid !== undefined) forgetProcess(child.pid);
      resolve({ code, signal });
    });
  });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', reject);
  });
  const pid = child.pid;
  if (pid === undefined) throw new Error(`${options.command} has no process id`);
  const hasExited = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const kill9 = (): Promise<Exit> => {
    if (!hasExited()) child.kill('SIGKILL');
    return within(exited, GONE_WITHIN_MS, `${options.command} (process ${pid}) can't be killed`);
  };
  return {
    pid,
    exited,
    hasExited,
    kill9,
    stop: async () => {
      if (hasExited()) return exited;
      child.kill(options.stopSignal);
      return within(exited, options.stopWithinMs, '').catch(kill9);
    },
    logTail: () => lastLinesOf(options.logFile),
  };
}

function spawnLogged(options: ChildOptions): ChildProcess {
  watchdogScript(); // before anything runs
  mkdirSync(path.dirname(options.logFile), { recursive: true });
  const log = openSync(options.logFile, 'a', 0o600);
  try {
    const child = spawn(options.command, [...options.args], {
      stdio: ['ignore', options.onLine === undefined ? log : 'pipe', log],
      env: environmentWith(options.env ?? {}),
      detached: true, // its own process group: Ctrl-C is ours alone, and we stop things in order
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...options.owner,
    });
    if (child.pid !== undefined) watchProcess(child.pid, options.stopSignal, options.stopWithinMs);
    if (child.stdout !== null && options.onLine !== undefined)
      createInterface({ input: child.stdout }).on('line', options.onLine);
    return child;
  } finally {
    closeSync(log);
  }
}

/** `promise`, or a rejection with `message` after `boundMs`. */
export function within<T>(promise: Promise<T>, boundMs: number, message: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(message)), boundMs);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

function lastLinesOf(file: string): string {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-LOG_TAIL_LINES).join('\n');
  } catch {
    return '';
  }
}
