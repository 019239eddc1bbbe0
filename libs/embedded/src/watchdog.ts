import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { projectRoot } from './project-root.js';

/** A helper that was killed is started again; one that can't run at all must not be started for ever. */
const MAX_STARTS_AGAIN = 5;

/**
 * Processes and directories that must not outlive this process, each with the message that names it to the helper. The
 * helper process, started with the first of them and ended with the last, learns by a closing pipe that we are gone,
 * so this holds for kill -9 too.
 */
const kept = new Map<string, object>();
let helper: ChildProcess | null = null;
let startsAgain = 0;

/** From now on `pid` is ended (by `signal`, and by SIGKILL after `withinMs`) when this process ends. */
export function watchProcess(pid: number, signal: NodeJS.Signals, withinMs: number): void {
  keep(`process ${pid}`, { watch: pid, signal, withinMs });
}

/** To be called once the process has exited: its number may soon belong to another one. */
export function forgetProcess(pid: number): void {
  drop(`process ${pid}`, { forget: pid });
}

/** From now on `directory` is removed when this process ends. */
export function removeAtEnd(directory: string): void {
  keep(`directory ${directory}`, { remove: directory });
}

/** To be called once the directory has been removed. */
export function forgetDirectory(directory: string): void {
  drop(`directory ${directory}`, { keep: directory });
}

/** The helper's process number while it runs. */
export function watchdogPid(): number | null {
  return helper?.pid ?? null;
}

/** Throws where there is no helper to start: better nothing is started than something that nobody will end. */
export function watchdogScript(): string {
  const script = path.join(projectRoot(), 'libs/embedded/src/watchdog.mjs');
  if (!existsSync(script)) throw new Error(`${script} is missing, which ends the servers when their starter is gone.`);
  return script;
}

function keep(name: string, message: object): void {
  kept.set(name, message);
  helper ??= startHelper();
  tell(helper, message);
}

function drop(name: string, message: object): void {
  if (!kept.delete(name) || helper === null) return;
  tell(helper, message);
  if (kept.size > 0) return;
  helper.stdin?.end();
  helper = null;
}

function startHelper(): ChildProcess {
  const child = spawn(process.execPath, [watchdogScript()], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  child.unref();
  const { stdin } = child;
  if (stdin !== null && 'unref' in stdin && typeof stdin.unref === 'function') stdin.unref();
  stdin?.on('error', () => undefined); // it is gone; what follows is told to the next one
  child.on('error', () => undefined);
  child.on('exit', () => {
    if (child !== helper) return;
    helper = null;
    if (kept.size === 0 || startsAgain >= MAX_STARTS_AGAIN) return;
    startsAgain += 1;
    helper = startHelper();
    for (const message of kept.values()) tell(helper, message);
  });
  return child;
}

function tell(child: ChildProcess, message: object): void {
  child.stdin?.write(JSON.stringify(message) + '\n');
}
