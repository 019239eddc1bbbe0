import { spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { environmentWith, ownEnvironment } from './environment.js';
import { findNatsServer, type NatsServerProgram, OLDEST_NATS_SERVER, ownNatsServer } from './find-nats-server.js';
import { homeDirectory } from './project-root.js';

const INSTALL_WITHIN_MS = 300_000;

/** Tells the user what is about to happen, one line at a time. */
export type Say = (line: string) => void;

/** There is no nats-server, and none could be installed; the message says what to do. */
export class NatsServerMissing extends Error {
  readonly code = 'nats_server_missing';
}

interface PackageManager {
  readonly program: string;
  readonly command: readonly string[];
  /** True where it changes the system and so needs root. */
  readonly needsRoot: boolean;
}

const PACKAGE_MANAGERS: readonly PackageManager[] = [
  { program: 'brew', command: ['brew', 'install', 'nats-server'], needsRoot: false },
  {
    program: 'apt-get',
    command: ['apt-get', 'install', '-y', '--no-install-recommends', 'nats-server'],
    needsRoot: true,
  },
  { program: 'apk', command: ['apk', 'add', 'nats-server'], needsRoot: true },
  { program: 'dnf', command: ['dnf', 'install', '-y', 'nats-server'], needsRoot: true },
  { program: 'zypper', command: ['zypper', '--non-interactive', 'install', 'nats-server'], needsRoot: true },
  { program: 'pacman', command: ['pacman', '-S', '--noconfirm', 'nats-server'], needsRoot: true },
];

/**
 * The nats-server to use, installed if there is none, after saying so. With apt its package is only unpacked into
 * `.sluice/` (no root needed, nothing on the system changes, and the package's own service isn't started); other package
 * managers install it. Throws NatsServerMissing with the exact command where neither is possible.
 */
export function ensureNatsServer({ say }: { readonly say: Say }): NatsServerProgram {
  const found = findNatsServer();
  if (found !== null) return found;
  const failures: string[] = [];
  if (has('apt-get') && has('dpkg')) {
    const failure = unpackDebianPackage(say);
    const program = findNatsServer();
    if (program !== null) return program;
    failures.push(failure ?? 'apt-get: the package has no usable nats-server');
  }
  const manager = PACKAGE_MANAGERS.find(({ program }) => has(program));
  if (manager !== undefined) {
    const failure = installWith(manager, say);
    const program = findNatsServer();
    if (program !== null) return program;
    failures.push(failure ?? `${manager.program}: installed, but no usable nats-server was found afterwards`);
  }
  throw new NatsServerMissing(adviceFor(manager, failures));
}

/** Downloads and unpacks; null where all went well, else what failed. */
function unpackDebianPackage(say: Say): string | null {
  mkdirSync(homeDirectory(), { recursive: true });
  const folder = mkdtempSync(path.join(homeDirectory(), 'nats-server-'));
  try {
    say(`No nats-server found: downloading its package with apt-get into ${homeDirectory()} (nothing is installed).`);
    const failure = downloadPackage(folder, say);
    if (failure !== null) return failure;
    const archive = readdirSync(folder).find((name) => name.endsWith('.deb'));
    if (archive === undefined) return 'apt-get download brought no package';
    const unpacked = run('dpkg', ['-x', archive, 'unpacked'], folder);
    if (unpacked.status !== 0) return `dpkg -x: ${lastLine(unpacked)}`;
    const program = ['usr/sbin', 'usr/bin']
      .map((directory) => path.join(folder, 'unpacked', directory, 'nats-server'))
      .find(existsSync);
    if (program === undefined) return 'the package holds no nats-server';
    keep(program);
    return null;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** With the system's package lists; where those are empty (a fresh container), with lists of our own. */
function downloadPackage(folder: string, say: Say): string | null {
  // Without this, apt as root complains that its sandbox user can't write here.
  const download = ['-o', 'APT::Sandbox::User=root', 'download', 'nats-server'];
  if (run('apt-get', download, folder).status === 0) return null;
  say('apt has no usable package lists: fetching them, for this purpose only.');
  const own = ['lists', 'cache', 'cache/archives', 'lists/partial', 'cache/archives/partial'];
  for (const directory of own) mkdirSync(path.join(folder, 'apt', directory), { recursive: true });
  const places = [
    ['-o', `Dir::State::lists=${path.join(folder, 'apt/lists')}`],
    ['-o', `Dir::Cache=${path.join(folder, 'apt/cache')}`],
    ['-o', 'APT::Sandbox::User=root'],
  ].flat();
  const update = run('apt-get', [...places, 'update'], folder);
  if (update.status !== 0) return `apt-get update: ${lastLine(update)}`;
  const again = run('apt-get', [...places, 'download', 'nats-server'], folder);
  return again.status === 0 ? null : `apt-get download nats-server: ${lastLine(again)}`;
}

/** In one step, so that a second start at the same time never sees half a program. */
function keep(program: string): void {
  const target = ownNatsServer();
  mkdirSync(path.dirname(target), { recursive: true });
  const unfinished = `${target}.${process.pid}`;
  copyFileSync(program, unfinished);
  chmodSync(unfinished, 0o755);
  renameSync(unfinished, target);
}

function installWith(manager: PackageManager, say: Say): string | null {
  const prefix = manager.needsRoot && process.getuid?.() !== 0 ? ['sudo', '-n'] : [];
  if (prefix.length > 0 && !(has('sudo') && run('sudo', ['-n', 'true']).status === 0))
    return `${manager.program}: needs root, and sudo asks for a password here or isn't installed`;
  const [program = '', ...args] = [...prefix, ...manager.command];
  say(`No nats-server found: installing it (${[program, ...args].join(' ')}).`);
  const installed = run(program, args);
  return installed.status === 0 ? null : `${manager.command.join(' ')}: ${lastLine(installed)}`;
}

function adviceFor(manager: PackageManager | undefined, failures: readonly string[]): string {
  const command = manager && `${manager.needsRoot ? 'sudo ' : ''}${manager.command.join(' ')}`;
  return [
    `Sluice needs nats-server ${OLDEST_NATS_SERVER} or newer and found none; installing it didn't work:`,
    ...failures.map((failure) => `  ${failure}`),
    'Do one of these, then start again:',
    ...(command === undefined ? [] : [`  ${command}`]),
    '  download it from https://github.com/nats-io/nats-server/releases and set NATS_SERVER=/path/to/nats-server',
    '  use Docker instead: docker compose up',
  ].join('\n');
}

function has(program: string): boolean {
  return (ownEnvironment('PATH') ?? '')
    .split(path.delimiter)
    .some((directory) => directory !== '' && existsSync(path.join(directory, program)));
}

function run(program: string, args: readonly string[], cwd?: string): SpawnSyncReturns<string> {
  return spawnSync(program, [...args], {
    encoding: 'utf8',
    timeout: INSTALL_WITHIN_MS,
    env: environmentWith({ DEBIAN_FRONTEND: 'noninteractive' }),
    ...(cwd === undefined ? {} : { cwd }),
  });
}

function lastLine({ stderr, stdout, error }: SpawnSyncReturns<string>): string {
  return error?.message ?? `${stdout}\n${stderr}`.trim().split('\n').at(-1) ?? '';
}
