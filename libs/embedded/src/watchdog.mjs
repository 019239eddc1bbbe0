/*
 * Ends what its starter left behind. It is told on standard input, line by line, which processes to watch and which
 * directories are temporary; when that pipe closes, its starter is gone, however it went (kill -9 included), and
 * everything still named is ended and removed. Plain JavaScript: it runs without a build, from tests too.
 *
 * Lines: {"watch": pid, "signal": "SIGTERM", "withinMs": 5000} · {"forget": pid} · {"remove": dir} · {"keep": dir}
 */
import { rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 50;
/** Longest wait for a process to be gone after SIGKILL. */
const GONE_WITHIN_MS = 5_000;

const processes = new Map();
const directories = new Set();

// The terminal's signals are meant for the starter, which stops everything in order.
for (const signal of ['SIGINT', 'SIGHUP']) process.on(signal, () => {});

const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const message = JSON.parse(line);
  if (message.watch) processes.set(message.watch, message);
  if (message.forget) processes.delete(message.forget);
  if (message.remove) directories.add(message.remove);
  if (message.keep) directories.delete(message.keep);
});
lines.on('close', () => void endAll());

async function endAll() {
  await Promise.all([...processes.values()].map(endProcess));
  for (const directory of directories) rmSync(directory, { recursive: true, force: true, maxRetries: 10 });
  process.exit(0);
}

async function endProcess({ watch: pid, signal, withinMs }) {
  send(pid, signal);
  if (await isGoneWithin(pid, withinMs)) return;
  send(pid, 'SIGKILL');
  await isGoneWithin(pid, GONE_WITHIN_MS);
}

async function isGoneWithin(pid, boundMs) {
  for (let waitedMs = 0; waitedMs <= boundMs; waitedMs += POLL_MS) {
    if (!send(pid, 0)) return true;
    await sleep(POLL_MS);
  }
  return false;
}

/** False where there is no such process any more. */
function send(pid, signal) {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}
