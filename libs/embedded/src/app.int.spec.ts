import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { type App, AppNotReady, startApp } from './app.js';

describe('An app started as a process', () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'sluice embedded '));
  const cleanUps: (() => Promise<unknown>)[] = [];

  afterEach(async () => {
    for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
    rmSync(folder, { recursive: true, force: true });
  });

  async function simulator(args: readonly string[] = []): Promise<App> {
    const logFile = path.join(folder, 'logs/simulator.log');
    const app = await startApp({ app: 'zendesk-simulator', args, env: {}, logFile });
    cleanUps.push(() => app.stop());
    return app;
  }

  it('answers at the address it said, on the same one again after kill -9 and restart', async () => {
    const app = await simulator();
    const { url, pid } = app;
    expect((await fetch(`${url}/_control`)).status).toBe(200);
    expect(await app.kill9()).toEqual({ code: null, signal: 'SIGKILL' });
    await expect(fetch(`${url}/_control`)).rejects.toThrow(/fetch failed/);
    await app.restart();
    expect([app.url, app.pid === pid]).toEqual([url, false]);
    expect((await fetch(`${url}/_control`)).status).toBe(200);
  });

  it('ends in order when asked to', async () => {
    const app = await simulator();
    expect(await app.stop()).toEqual({ code: 0, signal: null });
    expect(app.hasExited()).toBe(true);
    expect(await app.stop()).toEqual({ code: 0, signal: null });
  });

  it('says how it ended and what its log says where it does not come up', async () => {
    const failing = startApp({
      app: 'zendesk-simulator',
      args: ['--licence=no-such-licence'],
      env: {},
      logFile: path.join(folder, 'logs/failing.log'),
    });
    await expect(failing).rejects.toThrow(AppNotReady);
    await expect(failing).rejects.toThrow(/exit code 1.*no-such-licence/s);
    expect(readFileSync(path.join(folder, 'logs/failing.log'), 'utf8')).toContain('no-such-licence');
  });

  it('is not told what happens to be set around us', async () => {
    process.env['HTTP_PORT'] = 'not a port';
    cleanUps.push(() => Promise.resolve(delete process.env['HTTP_PORT']));
    process.env['NODE_OPTIONS_OF_A_DEVELOPER'] = 'set';
    cleanUps.push(() => Promise.resolve(delete process.env['NODE_OPTIONS_OF_A_DEVELOPER']));
    const app = await simulator();
    const environment = readEnvironment(app.pid);
    expect(environment.includes('NODE_OPTIONS_OF_A_DEVELOPER')).toBe(false);
    expect(environment.includes('HTTP_PORT')).toBe(false);
  });
});

/** The variables of a process, where this machine shows them; empty elsewhere. */
function readEnvironment(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8');
  } catch {
    return '';
  }
}
