import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

/** Each test has a small project of its own, with an npm, a compiler and a jest made for the purpose. */
describe('The scripts that make everything ready', () => {
  let project: string;

  beforeEach(() => {
    project = mkdtempSync(path.join(os.tmpdir(), 'sluice scripts '));
    cpSync(path.join(import.meta.dirname, '../../scripts'), path.join(project, 'scripts'), { recursive: true });
    file('package.json', '{"type":"module"}');
    for (const name of ['tsconfig.json', 'tsconfig.build.json']) file(name, '{}');
    lock({ '': {}, 'node_modules/a': { version: '1.0.0' }, 'node_modules/b': { version: '1.0.0', optional: true } });
    installed({ 'node_modules/a': { version: '1.0.0' } });
    file('apps/greeter/src/main.ts', 'source');
    // "Compiles" by copying each source; like the real one it names what it wrote.
    file(
      'node_modules/typescript7/bin/tsc',
      `import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
       for (const name of readdirSync('apps')) {
         const source = readFileSync('apps/' + name + '/src/main.ts', 'utf8');
         if (source === 'wrong') { console.log('apps/' + name + '/src/main.ts(1,1): error TS1: wrong'); process.exit(1); }
         mkdirSync('dist/apps/' + name + '/src', { recursive: true });
         writeFileSync('dist/apps/' + name + '/src/main.js', 'console.log(process.argv.slice(2).join(" ")); process.exitCode = 3;');
         console.log('TSFILE: ' + process.cwd() + '/dist/apps/' + name + '/src/main.js');
       }`,
    );
    file(
      'npm.js',
      `import { writeFileSync, readFileSync } from 'node:fs';
       console.log('npm', process.argv.slice(2).join(' '));
       writeFileSync('node_modules/.package-lock.json', readFileSync('package-lock.json'));`,
    );
  });

  afterEach(() => rmSync(project, { recursive: true, force: true }));

  function file(name: string, content: string): void {
    mkdirSync(path.dirname(path.join(project, name)), { recursive: true });
    writeFileSync(path.join(project, name), content);
  }

  const lock = (packages: object): void => file('package-lock.json', JSON.stringify({ packages }));
  const installed = (packages: object): void => file('node_modules/.package-lock.json', JSON.stringify({ packages }));

  function run(...args: string[]): { status: number | null; stdout: string; stderr: string } {
    const env = { PATH: process.env['PATH'], npm_execpath: path.join(project, 'npm.js') };
    return spawnSync(process.execPath, args, { cwd: project, encoding: 'utf8', env });
  }

  it('say nothing and do nothing where all is ready', () => {
    expect(run('scripts/prepare.mjs', '--build').stderr).toMatch(/^Building\.\nBuilt in .* s\.\n$/);
    expect(run('scripts/prepare.mjs', '--build')).toMatchObject({ status: 0, stdout: '', stderr: '' });
  });

  it('install what is missing or of another version, with npm ci', () => {
    for (const wrong of [{}, { 'node_modules/a': { version: '0.9.0' } }]) {
      installed(wrong);
      const { stderr, stdout } = run('scripts/prepare.mjs');
      expect(stderr).toMatch(/Installing dependencies.*\nnpm ci .*\nDependencies installed in/);
      expect(stdout).toBe('');
      expect(run('scripts/prepare.mjs').stderr).toBe('');
    }
    rmSync(path.join(project, 'node_modules/.package-lock.json'));
    expect(run('scripts/prepare.mjs').stderr).toContain('npm ci');
  });

  it('build again when a source changed, and remove what no source stands behind any more', () => {
    file('apps/old/src/main.ts', 'source');
    run('scripts/prepare.mjs', '--build');
    expect(existsSync(path.join(project, 'dist/apps/old/src/main.js'))).toBe(true);
    rmSync(path.join(project, 'apps/old'), { recursive: true });
    expect(run('scripts/prepare.mjs', '--build').stderr).toContain('Building.');
    expect(existsSync(path.join(project, 'dist/apps/old/src/main.js'))).toBe(false);
    expect(existsSync(path.join(project, 'dist/apps/greeter/src/main.js'))).toBe(true);
  });

  it('end with what the compiler says where it fails, and try again the next time', () => {
    file('apps/greeter/src/main.ts', 'wrong');
    for (const _attempt of [1, 2])
      expect(run('scripts/prepare.mjs', '--build')).toMatchObject({
        status: 1,
        stderr: expect.stringContaining('apps/greeter/src/main.ts(1,1): error TS1: wrong'),
      });
  });

  it('name the Node that they need where this one is too old', () => {
    const script = `Object.defineProperty(process.versions, 'node', { value: '20.18.3' });
      const { prepare } = await import('./scripts/prepare.mjs'); prepare({ build: false });`;
    expect(run('--input-type=module', '-e', script)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('Sluice needs Node 20.19.0 or newer; this is 20.18.3'),
    });
  });

  it('run a program with its arguments and give back its exit code, with nothing of theirs on standard output', () => {
    expect(run('scripts/run.mjs', 'start', 'greeter', '--to', 'all')).toMatchObject({
      status: 3,
      stdout: '--to all\n',
    });
  });

  it('list the services where none or an unknown one is named', () => {
    expect(run('scripts/run.mjs', 'start')).toMatchObject({ status: 0, stderr: expect.stringContaining('<greeter>') });
    expect(run('scripts/run.mjs', 'start', '../greeter')).toMatchObject({ status: 64 });
    expect(run('scripts/run.mjs', 'nonsense')).toMatchObject({ status: 64, stderr: expect.stringContaining('Usage') });
  });

  it.each([
    [{ passed: 5, failed: 0, broken: 0, pending: 0, todo: 0 }, 0, 'tests: 5 passed, 0 failed'],
    [{ passed: 5, failed: 1, broken: 2, pending: 1, todo: 1 }, 1, 'tests: 5 passed, 3 failed, 2 skipped'],
  ])('sum the tests up in one last line: %j', (counts, exitCode, line) => {
    const results = {
      numPassedTests: counts.passed,
      numFailedTests: counts.failed,
      numRuntimeErrorTestSuites: counts.broken,
      numPendingTests: counts.pending,
      numTodoTests: counts.todo,
    };
    file(
      'node_modules/jest/bin/jest.js',
      `import { writeFileSync } from 'node:fs';
       console.log('what jest says', process.argv.slice(2).join(' '));
       const to = process.argv.find((option) => option.startsWith('--outputFile=')).slice('--outputFile='.length);
       writeFileSync(to, ${JSON.stringify(JSON.stringify(results))});
       process.exitCode = ${exitCode};`,
    );
    const ran = run('scripts/test.mjs', 'libs/clock');
    expect([ran.status, ran.stdout]).toEqual([exitCode, `${line}\n`]);
    expect(ran.stderr).toMatch(/what jest says --selectProjects unit house integration flow .* libs\/clock/);
    expect(run('scripts/test.mjs', 'unit').stderr).toMatch(/--selectProjects unit --json/);
  });

  it('count a jest that broke as one failed test', () => {
    file('node_modules/jest/bin/jest.js', 'process.kill(process.pid, "SIGKILL");');
    const ran = run('scripts/test.mjs');
    expect(ran.stdout).toBe('tests: 0 passed, 1 failed\n');
    expect(ran.status).not.toBe(0);
  });
});
