/*
 * Makes a fresh clone runnable, and does nothing where it is already: right Node, dependencies as locked, build newer
 * than its sources. Plain Node without dependencies, since it runs before any are there. Says what it does on standard
 * error. By itself: node scripts/prepare.mjs [--build]
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

const OLDEST_NODE = [20, 19, 0];
const SOURCES = ['apps', 'libs', 'test'];
const CONFIGURATION = ['package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json'];
const STAMP = path.join(root, 'dist', '.built-from');

/** Throws nothing: where it can't go on it says why and ends the process. */
export function prepare({ build }) {
  checkNode();
  if (!dependenciesAreAsLocked()) installDependencies();
  if (build) buildIfNeeded();
}

export function say(line) {
  process.stderr.write(`${line}\n`);
}

function giveUp(...lines) {
  lines.forEach(say);
  process.exit(1);
}

function checkNode() {
  const version = process.versions.node.split('.').map(Number);
  for (const [position, wanted] of OLDEST_NODE.entries()) {
    if (version[position] > wanted) return;
    if (version[position] < wanted)
      giveUp(
        `Sluice needs Node ${OLDEST_NODE.join('.')} or newer; this is ${process.versions.node} (${process.execPath}).`,
        'Get a newer one from https://nodejs.org or your version manager (nvm install 24), then start again.',
      );
  }
}

/** npm writes down what it installed; that must hold everything in package-lock.json, in the same versions. */
function dependenciesAreAsLocked() {
  const installedFile = path.join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(installedFile)) return false;
  const locked = packagesIn(path.join(root, 'package-lock.json'));
  const installed = packagesIn(installedFile);
  return Object.entries(locked).every(([place, wanted]) => {
    const found = installed[place];
    if (place === '') return true;
    return found === undefined ? wanted.optional === true : found.version === wanted.version;
  });
}

function packagesIn(file) {
  return JSON.parse(readFileSync(file, 'utf8')).packages ?? {};
}

function installDependencies() {
  say('Installing dependencies (npm ci). This happens once, and after they change.');
  const options = ['ci', '--no-audit', '--no-fund', '--loglevel=error'];
  const npm = process.env.npm_execpath;
  const started = Date.now();
  // npm's own report goes to standard error too: standard output belongs to whoever called.
  const stdio = ['inherit', 2, 2];
  const run = npm?.endsWith('.js')
    ? spawnSync(process.execPath, [npm, ...options], { cwd: root, stdio })
    : spawnSync('npm', options, { cwd: root, stdio });
  if (run.status !== 0)
    giveUp(
      `npm ci failed${run.error ? ` (${run.error.message})` : ''}; its own message stands above.`,
      'Sluice needs the npm registry the first time only. Behind a proxy: npm config set proxy and https-proxy.',
    );
  say(`Dependencies installed in ${seconds(started)}.`);
}

function buildIfNeeded() {
  const sources = sourceFiles();
  const fingerprint = fingerprintOf(sources);
  if (existsSync(STAMP) && readFileSync(STAMP, 'utf8') === fingerprint) return;
  say('Building.');
  const started = Date.now();
  rmSync(STAMP, { force: true });
  const compiler = path.join(root, 'node_modules/typescript7/bin/tsc');
  const options = ['-p', 'tsconfig.build.json', '--noEmitOnError', '--listEmittedFiles'];
  const run = spawnSync(process.execPath, [compiler, ...options], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (run.status !== 0) {
    const errors = run.stdout.split('\n').filter((line) => !line.startsWith('TSFILE:'));
    giveUp(...errors, run.stderr, 'The build failed.');
  }
  removeStale(run.stdout);
  mkdirSync(path.dirname(STAMP), { recursive: true });
  writeFileSync(STAMP, fingerprint);
  say(`Built in ${seconds(started)}.`);
}

function sourceFiles() {
  return SOURCES.flatMap((folder) => filesUnder(path.join(root, folder)))
    .filter((file) => /\.(ts|json)$/.test(file))
    .concat(CONFIGURATION.map((name) => path.join(root, name)));
}

function fingerprintOf(files) {
  const hash = createHash('sha256');
  for (const file of files.sort()) {
    const content = readFileSync(file);
    hash.update(`${path.relative(root, file)}\0${content.length}\0`).update(content);
  }
  return hash.digest('hex');
}

/** What an earlier build left and this one didn't write would still be found by imports. */
function removeStale(compilerOutput) {
  const emitted = new Set(
    compilerOutput
      .split('\n')
      .filter((line) => line.startsWith('TSFILE:'))
      .map((line) => path.resolve(root, line.slice('TSFILE:'.length).trim())),
  );
  for (const file of filesUnder(path.join(root, 'dist'))) if (!emitted.has(file)) rmSync(file);
}

function filesUnder(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true })
    .map((name) => path.join(folder, name))
    .filter((file) => statSync(file, { throwIfNoEntry: false })?.isFile());
}

function seconds(startedMs) {
  return `${((Date.now() - startedMs) / 1000).toFixed(1)} s`;
}

if (process.argv[1] && path.resolve(process.argv[1]) === fileURLToPath(import.meta.url))
  prepare({ build: process.argv.includes('--build') });
