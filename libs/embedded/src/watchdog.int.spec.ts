import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from '@jest/globals';
import { projectRoot } from './project-root.js';

const WITHIN_MS = 15_000;
const POLL_MS = 50;

describe('What must not outlive its starter', () => {
  const started: ChildProcess[] = [];

  afterEach(() => {
    for (const child of started.splice(0)) child.kill('SIGKILL');
  });

  async function starter(): Promise<Started> {
    const directory = mkdtempSync(path.join(os.tmpdir(), 'sluice watchdog '));
    const child = spawn(process.execPath, ['--input-type=module', '-e', STARTER, directory], {
      cwd: projectRoot(),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    started.push(child);
    const said: Said[] = [];
    createInterface({ input: child.stdout }).on('line', (line) => said.push(JSON.parse(line) as Said));
    await expectEventually(() => said.length > 0);
    return { child, said, directory };
  }

  async function expectAllGone({ said, directory }: Started): Promise<void> {
    await expectEventually(() => said[0]?.pids.every((pid) => !isAlive(pid)) === true && !existsSync(directory));
  }

  it('ends with it, even what ignores to be asked, and its temporary directory goes too', async () => {
    const run = await starter();
    expect(run.said[0]?.pids.map(isAlive)).toEqual([true, true]);
    run.child.kill('SIGKILL');
    await expectAllGone(run);
  });

  it('ends with it when it exits without a word', async () => {
    const run = await starter();
    run.child.kill('SIGTERM'); // no handler: it just ends
    await expectAllGone(run);
  });

  it('ends with it though the helper was killed before', async () => {
    const run = await starter();
    process.kill(run.said[0]?.helper ?? 0, 'SIGKILL');
    await expectEventually(() => run.said.length > 1);
    run.child.kill('SIGKILL');
    await expectAllGone(run);
  });
});

interface Said {
  readonly pids: readonly number[];
  readonly helper: number;
}

interface Started {
  readonly child: ChildProcess;
  readonly said: readonly Said[];
  readonly directory: string;
}

/**
 * A program that starts one process that ends when asked and one that doesn't, says their numbers and the helper's
 * whenever that is another one, and waits.
 */
const STARTER = `
  import { register } from 'node:module';
  import { pathToFileURL } from 'node:url';
  register('./test/support/typescript-loader.mjs', pathToFileURL(process.cwd() + '/'));
  const load = (name) => import(pathToFileURL(process.cwd() + '/libs/embedded/src/' + name).href);
  const { startChild } = await load('child.ts');
  const { removeAtEnd, watchdogPid } = await load('watchdog.ts');
  const [directory] = process.argv.slice(1);
  removeAtEnd(directory);
  const programs = ['setInterval(() => {}, 1000)', 'process.on("SIGTERM", () => {}); setInterval(() => {}, 1000)'];
  const pids = [];
  for (const program of programs) {
    const child = await startChild({
      command: process.execPath, args: ['-e', program], logFile: directory + '/log', stopSignal: 'SIGTERM', stopWithinMs: 500,
    });
    pids.push(child.pid);
  }
  let helper = null;
  setInterval(() => {
    if (watchdogPid() === helper || watchdogPid() === null) return;
    helper = watchdogPid();
    console.log(JSON.stringify({ pids, helper }));
  }, 50);
`;

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function expectEventually(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let waitedMs = 0; waitedMs < WITHIN_MS; waitedMs += POLL_MS) {
    if (await holds()) return;
    await sleep(POLL_MS);
  }
  throw new Error(`Not within ${WITHIN_MS} ms.`);
}
