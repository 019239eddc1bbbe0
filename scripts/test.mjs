/*
 * The test suite, with all its set-up:
 *   node scripts/test.mjs [jest options and paths]         everything
 *   node scripts/test.mjs unit [jest options and paths]    what needs no server
 * The last line on standard output is `tests: N passed, N failed`, with `, N skipped` where there are any. A spec file
 * that can't even be loaded counts as one failed test.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { prepare, root } from './prepare.mjs';

const PROJECTS = { unit: ['unit'], all: ['unit', 'house', 'integration', 'flow'] };

const given = process.argv.slice(2);
const unitOnly = given[0] === 'unit';
const results = path.join(root, '.sluice', `test-results-${process.pid}.json`);

prepare({ build: !unitOnly });
mkdirSync(path.dirname(results), { recursive: true });
const status = await runJest(unitOnly ? PROJECTS.unit : PROJECTS.all, unitOnly ? given.slice(1) : given);
const counted = countTests();
process.stdout.write(`${summaryOf(counted)}\n`);
process.exitCode = status === 0 && counted.failed > 0 ? 1 : status;

function runJest(projects, options) {
  const jest = spawn(
    process.execPath,
    [
      '--experimental-vm-modules',
      '--disable-warning=ExperimentalWarning',
      path.join(root, 'node_modules/jest/bin/jest.js'),
      '--selectProjects',
      ...projects,
      '--json',
      `--outputFile=${results}`,
      ...options,
    ],
    { cwd: root, stdio: ['inherit', 2, 2] },
  );
  // The terminal's Ctrl-C reaches jest by itself; this one stays to say how it ended.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => jest.kill('SIGTERM'));
  return new Promise((resolve) => {
    jest.on('error', () => resolve(1));
    jest.on('exit', (code, signal) => resolve(code ?? (signal === 'SIGINT' ? 130 : 143)));
  });
}

function countTests() {
  try {
    const outcome = JSON.parse(readFileSync(results, 'utf8'));
    return {
      passed: outcome.numPassedTests,
      failed: outcome.numFailedTests + outcome.numRuntimeErrorTestSuites,
      skipped: outcome.numPendingTests + outcome.numTodoTests,
    };
  } catch {
    return { passed: 0, failed: 1, skipped: 0 }; // jest itself broke, or was broken off
  } finally {
    rmSync(results, { force: true });
  }
}

function summaryOf({ passed, failed, skipped }) {
  return `tests: ${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}
