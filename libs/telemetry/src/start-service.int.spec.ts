import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from '@jest/globals';
import { until } from '../../../test/support/until.js';

const SUPPORT = new URL('../../../test/support/', import.meta.url);
const LOADER = `import { register } from 'node:module'; register(${JSON.stringify(new URL('typescript-loader.mjs', SUPPORT).href)});`;

interface Running {
  readonly child: ChildProcess;
  stdout: string;
  stderr: string;
  readonly exit: Promise<number | null>;
}

describe('a service', () => {
  const children: ChildProcess[] = [];

  afterEach(async () => {
    for (const child of children.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  });

  const run = (env: Record<string, string>): Running => {
    const child = spawn(
      process.execPath,
      [
        '--import',
        `data:text/javascript,${encodeURIComponent(LOADER)}`,
        fileURLToPath(new URL('hello-service.ts', SUPPORT)),
      ],
      { env: { PATH: process.env['PATH'] ?? '', ...env }, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    children.push(child);
    const exit = once(child, 'exit').then(([code]) => code as number | null);
    const running: Running = { child, stdout: '', stderr: '', exit };
    child.stdout?.on('data', (chunk: Buffer) => (running.stdout += chunk.toString()));
    child.stderr?.on('data', (chunk: Buffer) => (running.stderr += chunk.toString()));
    return running;
  };
  const ready = async (running: Running): Promise<string> => {
    const line = await until('the ready line', () => /^.*\n/.exec(running.stdout)?.[0]);
    return (JSON.parse(line) as { http: string }).http;
  };

  it('prints one line when it is ready, and answers', async () => {
    const running = run({ WORD: 'good day' });

    const url = await ready(running);

    expect(running.stdout).toBe(`{"ready":"hello","http":"${url}"}\n`);
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(await (await fetch(`${url}/hello`)).json()).toEqual({ word: 'good day' });
    expect(await (await fetch(`${url}/health/live`)).json()).toEqual({ ok: true });
    expect(await (await fetch(`${url}/health/ready`)).json()).toEqual({
      ok: true,
      checks: { service: 'ok', wellness: 'ok' },
    });
    expect(await (await fetch(`${url}/metrics`)).text()).toContain('process_cpu_seconds_total');
  });

  it('logs one JSON object per line', async () => {
    const running = run({ WORD: 'hello' });
    await ready(running);

    await until('it is logged', () => running.stderr.includes('"message":"ready"'));
    const entries = running.stderr
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(entries[0]).toMatchObject({
      level: 'info',
      service: 'hello',
      message: 'starting',
      settings: { WORD: 'hello' },
    });
  });

  it('finishes what it is doing on SIGTERM, closes its connections last, and exits with 0', async () => {
    const running = run({ WORD: 'hello' });
    const url = await ready(running);
    const slow = fetch(`${url}/slow`);
    await until('the request is being answered', () => running.stderr.includes('slow begun'));

    running.child.kill('SIGTERM');

    expect(await (await slow).json()).toEqual({ done: true });
    expect(await running.exit).toBe(0);
    expect(running.stderr).toContain('connections closed');
    expect(running.stderr).toContain('"message":"stopped"');
  });

  it('lists everything that is wrong with its settings, and exits with 78', async () => {
    const running = run({ HTTP_PORT: 'http' });

    expect(await running.exit).toBe(78);
    const { problems } = JSON.parse(running.stderr) as { problems: unknown };
    expect(problems).toEqual([
      { name: 'HTTP_PORT', message: 'must be a whole number from 0 to 65535, is "http"' },
      { name: 'WORD', message: 'must be given (text): What to say.' },
    ]);
  });

  it('ends with 1, and says why, after an exception nobody caught', async () => {
    const running = run({ WORD: 'hello' });
    const url = await ready(running);

    await fetch(`${url}/crash`).catch(() => undefined);

    expect(await running.exit).toBe(1);
    expect(running.stderr).toContain('uncaught exception');
    expect(running.stderr).toContain('out of the blue');
  });

  it('says so where its port is taken', async () => {
    const first = run({ WORD: 'hello' });
    const port = new URL(await ready(first)).port;

    const second = run({ WORD: 'hello', HTTP_PORT: port });

    expect(await second.exit).toBe(1);
    expect(second.stderr).toContain('EADDRINUSE');
  });
});
