import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';
import { projectRoot } from './project-root.js';

/**
 * Processes and directories that must not outlive this process. A helper process, started with the first of them and
 * ended with the last, learns by a closing pipe that we are gone, so this holds for kill -9 too.
 */
const kept = new Set<string>();
let helper: ChildProcess | null = null;

/** From now on `pid` is ended (by `signal`, and by SIGKILL after `withinMs`) when this process ends. */
export function watchProcess(pid: number, signal: NodeJS.Signals, withinMs: number): void {
  add(`process ${pid}`, { watch: pid, signal, withinMs });
}

/** To be called once the process has exited: its number may soon belong to another one. */
export function forgetProcess(pid: number): void {
  drop(`process ${pid}`, { forget: pid });
}

/** From now on `directory` is removed when this process ends. */
export function removeAtEnd(directory: string): void {
  add(`directory ${directory}`, { remove: directory });
}

/** To be called once the directory has been removed. */
export function forgetDirectory(directory: string): void {
  drop(`directory ${directory}`, { keep: directory });
}

function add(name: string, message: object): void {
  kept.add(name);
  helper ??= startHelper();
  helper.stdin?.write(JSON.stringify(message) + '\n');
}

function drop(name: string, message: object): void {
  if (!kept.delete(name) || helper === null) return;
  helper.stdin?.write(JSON.stringify(message) + '\n');
  if (kept.size > 0) return;
  helper.stdin?.end();
  helper = null;
}

function startHelper(): ChildProcess {
  const script = path.join(projectRoot(), 'libs/embedded/src/watchdog.mjs');
  const child = spawn(process.execPath, [script], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  child.unref();
  const { stdin } = child;
  if (stdin !== null && 'unref' in stdin && typeof stdin.unref === 'function') stdin.unref();
  // A helper that somebody killed must not take us along; what it watched is still ended by stop().
  stdin?.on('error', () => undefined);
  child.on('error', () => undefined);
  return child;
}
