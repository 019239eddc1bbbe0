import { spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { environmentWith } from './environment.js';
import {
  findNatsServer,
  type Machine,
  type NatsServerProgram,
  OLDEST_NATS_SERVER,
  ownNatsServer,
  thisMachine,
} from './find-nats-server.js';

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
export function ensureNatsServer({
  say,
  machine = thisMachine(),
}: {
  readonly say: Say;
  readonly machine?: Machine;
}): NatsServerProgram {
  return findNatsServer(machine) ?? new Installation(machine, say).install();
}

class Installation {
  private readonly failures: string[] = [];

  constructor(
    private readonly machine: Machine,
    private readonly say: Say,
  ) {}

  install(): NatsServerProgram {
    const manager = PACKAGE_MANAGERS.find(({ program }) => this.has(program));
    const ways = [
      () => (this.has('apt-get') && this.has('dpkg') ? this.unpackDebianPackage() : null),
      () => (manager === undefined ? null : this.installWith(manager)),
    ];
    for (const way of ways) {
      const failure = way();
      const program = findNatsServer(this.machine);
      if (program !== null) return program;
      if (failure !== null) this.failures.push(failure);
    }
    throw new NatsServerMissing(adviceFor(manager, this.failures));
  }

  /** Downloads and unpacks; null where all went well, else what failed. */
  private unpackDebianPackage(): string | null {
    const { home } = this.machine;
    mkdirSync(home, { recursive: true });
    const folder = mkdtempSync(path.join(home, 'nats-server-'));
    try {
      this.say(`No nats-server found: downloading its package with apt-get into ${home} (nothing is installed).`);
      const failure = this.downloadPackage(folder);
      if (failure !== null) return failure;
      const archive = readdirSync(folder).find((name) => name.endsWith('.deb'));
      if (archive === undefined) return 'apt-get download brought no package';
      const unpacked = this.run('dpkg', ['-x', archive, 'unpacked'], folder);
      if (unpacked.status !== 0) return `dpkg -x: ${lastLine(unpacked)}`;
      const program = ['usr/sbin', 'usr/bin']
        .map((directory) => path.join(folder, 'unpacked', directory, 'nats-server'))
        .find(existsSync);
      if (program === undefined) return 'the package holds no nats-server';
      this.keep(program);
      return null;
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }

  /** With the system's package lists; where those are empty (a fresh container), with lists of our own. */
  private downloadPackage(folder: string): string | null {
    // As root, apt hands downloads to a user that can't write here.
    const sandbox = ['-o', 'APT::Sandbox::User=root'];
    if (this.run('apt-get', [...sandbox, 'download', 'nats-server'], folder).status === 0) return null;
    this.say('apt has no usable package lists: fetching them, for this purpose only.');
    for (const directory of ['lists/partial', 'cache/archives/partial'])
      mkdirSync(path.join(folder, 'apt', directory), { recursive: true });
    const own = [
      ...sandbox,
      '-o',
      `Dir::State::lists=${path.join(folder, 'apt/lists')}`,
      '-o',
      `Dir::Cache=${path.join(folder, 'apt/cache')}`,
    ];
    const update = this.run('apt-get', [...own, 'update'], folder);
    if (update.status !== 0) return `apt-get update: ${lastLine(update)}`;
    const download = this.run('apt-get', [...own, 'download', 'nats-server'], folder);
    return download.status === 0 ? null : `apt-get download nats-server: ${lastLine(download)}`;
  }

  /** In one step, so that a second start at the same time never sees half a program. */
  private keep(program: string): void {
    const target = ownNatsServer(this.machine);
    mkdirSync(path.dirname(target), { recursive: true });
    const unfinished = `${target}.${process.pid}`;
    copyFileSync(program, unfinished);
    chmodSync(unfinished, 0o755);
    renameSync(unfinished, target);
  }

  private installWith(manager: PackageManager): string | null {
    const prefix = manager.needsRoot && !this.machine.isRoot ? ['sudo', '-n'] : [];
    if (prefix.length > 0 && !(this.has('sudo') && this.run('sudo', ['-n', 'true']).status === 0))
      return `${manager.program}: needs root, and sudo asks for a password here or isn't installed`;
    const [program = '', ...args] = [...prefix, ...manager.command];
    this.say(`No nats-server found: installing it (${[program, ...args].join(' ')}).`);
    const installed = this.run(program, args);
    return installed.status === 0
      ? `${manager.program}: installed it, but no usable nats-server was found afterwards`
      : `${manager.command.join(' ')}: ${lastLine(installed)}`;
  }

  private has(program: string): boolean {
    return this.machine.directories.some((directory) => existsSync(path.join(directory, program)));
  }

  private run(program: string, args: readonly string[], cwd?: string): SpawnSyncReturns<string> {
    return spawnSync(program, [...args], {
      encoding: 'utf8',
      timeout: INSTALL_WITHIN_MS,
      env: environmentWith({
        DEBIAN_FRONTEND: 'noninteractive',
        PATH: this.machine.directories.join(path.delimiter),
      }),
      ...(cwd === undefined ? {} : { cwd }),
    });
  }
}

function adviceFor(manager: PackageManager | undefined, failures: readonly string[]): string {
  const command = manager && `${manager.needsRoot ? 'sudo ' : ''}${manager.command.join(' ')}`;
  const tried = failures.length > 0 ? failures : ['there is no package manager here that Sluice knows'];
  return [
    `Sluice needs nats-server ${OLDEST_NATS_SERVER} or newer and found none; installing it didn't work:`,
    ...tried.map((failure) => `  ${failure}`),
    'Do one of these, then start again:',
    ...(command === undefined ? [] : [`  ${command}`]),
    '  download it from https://github.com/nats-io/nats-server/releases and set NATS_SERVER=/path/to/nats-server',
    '  use Docker instead: docker compose up',
  ].join('\n');
}

function lastLine({ stderr, stdout, error }: SpawnSyncReturns<string>): string {
  return error?.message ?? `${stdout}\n${stderr}`.trim().split('\n').at(-1) ?? '';
}
