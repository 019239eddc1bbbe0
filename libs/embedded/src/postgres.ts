import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { type Child, startChild } from './child.js';
import { environmentWith } from './environment.js';
import { freePort } from './free-port.js';
import { DataDirectoryInUse, endLeftover } from './leftover.js';
import {
  canEnter,
  type Owner,
  type PostgresBinaries,
  postgresBinaries,
  postgresOwner,
  PostgresUnusable,
  reachableDirectory,
} from './postgres-binaries.js';
import { forgetDirectory, removeAtEnd } from './watchdog.js';

/** Data that lies outside its folder: in `/var/lib/sluice/data-…`, with a note of the link that leads there. */
const OUTSIDE_PREFIX = 'data-';
const LINKED_FROM = 'linked-from';
const SUPERUSER = 'sluice';
const DATABASE = 'sluice';
const READY_WITHIN_MS = 60_000;
const READY_POLL_MS = 50;
/** A stranger on our port may take a connection and never speak. */
const CONNECT_WITHIN_MS = 2_000;
const STOP_WITHIN_MS = 15_000;
/** A port can be taken between finding and using it; memory of a killed server is in use until its last child ends. */
const START_ATTEMPTS = 8;
const START_AGAIN_AFTER_MS = 500;
const WORTH_ANOTHER_START = /Address already in use|could not bind|pre-existing shared memory block|still in use/;

export interface PostgresOptions {
  /** A folder of its own for this server: its data, password and log. Made where it doesn't exist, used again where it does. */
  readonly dataDir: string;
  /** Port on 127.0.0.1; a free one where left out. */
  readonly port?: number;
  /** False: the folder is removed when the server stops, and when we are killed. */
  readonly persistent: boolean;
  /** False: faster, but a crash of the machine (not of Postgres) may destroy the data. For tests. Default true. */
  readonly durable?: boolean;
  readonly maxConnections?: number;
}

/** A Postgres of our own that runs. */
export interface EmbeddedPostgres {
  /** As its superuser, in its database `sluice`; with the password. */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly logFile: string;
  /** Stops it in order (connections are ended). */
  stop(): Promise<void>;
  /** kill -9 of the server's first process. */
  kill9(): Promise<void>;
  /** Starts it again on the same port and data, after `stop` or `kill9`. */
  restart(): Promise<void>;
}

interface Place {
  readonly folder: string;
  readonly data: string;
  readonly logFile: string;
  readonly password: string;
  readonly owner: Owner | null;
  readonly binaries: PostgresBinaries;
}

/**
 * Starts a real Postgres as a process of its own, reachable on 127.0.0.1 only and with a password; makes its data
 * directory the first time. Resolves once it answers queries. Throws PostgresUnusable where this machine can't run it,
 * DataDirectoryInUse where the folder belongs to one that runs.
 */
export async function startPostgres(options: PostgresOptions): Promise<EmbeddedPostgres> {
  if (!options.persistent) removeAtEnd(options.dataDir);
  try {
    return await startIn(await placeFor(options.dataDir), options);
  } catch (error) {
    if (error instanceof DataDirectoryInUse) forgetDirectory(options.dataDir);
    else if (!options.persistent) removeFolder(options.dataDir);
    throw error;
  }
}

async function startIn(place: Place, options: PostgresOptions): Promise<EmbeddedPostgres> {
  await endLeftover(path.join(place.data, 'postmaster.pid'), 'postgres', 'SIGINT');
  if (!existsSync(path.join(place.data, 'PG_VERSION'))) await initialise(place);
  refuseOtherVersion(place);
  const first = await startSomewhere(place, options);
  const { port } = first;
  let { child } = first;
  await ensureDatabase(place, port);
  return {
    url: urlOf(place, port, DATABASE),
    port,
    logFile: place.logFile,
    get pid() {
      return child.pid;
    },
    stop: async () => {
      await child.stop();
      if (!options.persistent) removeFolder(options.dataDir);
    },
    kill9: async () => {
      await child.kill9();
    },
    restart: async () => {
      child = (await startSomewhere(place, { ...options, port })).child;
    },
  };
}

async function placeFor(dataDir: string): Promise<Place> {
  const owner = postgresOwner();
  const binaries = await postgresBinaries(owner);
  mkdirSync(dataDir, { recursive: true });
  const folder = realpathSync(dataDir);
  if (!canEnter(owner, folder)) chmodSync(folder, 0o711);
  const data = path.join(folder, 'data');
  if (!canEnter(owner, folder)) linkToReachable(folder, data);
  const passwordFile = path.join(folder, 'password');
  if (!existsSync(passwordFile)) {
    // Data without its password is of no use to anybody.
    rmSync(data, { recursive: true, force: true });
    if (!canEnter(owner, folder)) linkToReachable(folder, data);
    writeFileSync(passwordFile, randomBytes(24).toString('base64url'), { mode: 0o600 });
  }
  const password = readFileSync(passwordFile, 'utf8');
  return {
    folder,
    data: existsSync(data) ? realpathSync(data) : data,
    logFile: path.join(folder, 'postgres.log'),
    password,
    owner,
    binaries,
  };
}

/** Where the user that runs Postgres can't come (a project under /root), the data lies outside and `data` is a link. */
function linkToReachable(folder: string, link: string): void {
  if (existsSync(link)) return;
  removeUnlinked();
  const outside = reachableDirectory(`${OUTSIDE_PREFIX}${randomBytes(8).toString('hex')}`);
  const target = path.join(outside, 'data');
  mkdirSync(target);
  rmSync(link, { force: true });
  symlinkSync(target, link);
  writeFileSync(path.join(outside, LINKED_FROM), link);
}

/** Data outside whose link has been deleted, as `rm -rf .sluice` does, is of no use to anybody any more. */
function removeUnlinked(): void {
  const parent = path.dirname(reachableDirectory('programs'));
  for (const name of readdirSync(parent).filter((candidate) => candidate.startsWith(OUTSIDE_PREFIX))) {
    const outside = path.join(parent, name);
    const note = path.join(outside, LINKED_FROM);
    if (!existsSync(note)) continue; // being made right now
    if (readlinkIfAny(readFileSync(note, 'utf8')) !== path.join(outside, 'data'))
      rmSync(outside, { recursive: true, force: true });
  }
}

function readlinkIfAny(file: string): string | null {
  try {
    return readlinkSync(file);
  } catch {
    return null;
  }
}

function removeFolder(dataDir: string): void {
  const data = path.join(dataDir, 'data');
  const outside = existsSync(data) ? path.dirname(realpathSync(data)) : dataDir;
  if (outside !== realpathIfAny(dataDir)) rmSync(outside, { recursive: true, force: true });
  rmSync(dataDir, { recursive: true, force: true, maxRetries: 5 });
  forgetDirectory(dataDir);
}

function realpathIfAny(file: string): string {
  return existsSync(file) ? realpathSync(file) : file;
}

/** Makes the data directory beside its final place, so that one broken off in the middle is never taken for finished. */
async function initialise(place: Place): Promise<void> {
  rmSync(place.data, { recursive: true, force: true });
  const parent = path.dirname(place.data);
  const unfinished = mkdtempSync(path.join(parent, 'unfinished-'));
  const passwordFile = path.join(unfinished, 'password');
  const target = path.join(unfinished, 'data');
  mkdirSync(target);
  writeFileSync(passwordFile, place.password, { mode: 0o600 });
  if (place.owner !== null)
    for (const file of [unfinished, target, passwordFile]) chownSync(file, place.owner.uid, place.owner.gid);
  const initdb = await startChild({
    command: place.binaries.initdb,
    args: [
      `--pgdata=${target}`,
      `--username=${SUPERUSER}`,
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--no-locale',
      '--no-instructions',
      '--no-sync',
    ],
    cwd: parent,
    owner: place.owner,
    logFile: place.logFile,
    stopSignal: 'SIGINT',
    stopWithinMs: STOP_WITHIN_MS,
  });
  const { code } = await initdb.exited;
  if (code !== 0) {
    rmSync(unfinished, { recursive: true, force: true });
    throw new PostgresUnusable(`Postgres's data directory couldn't be made (${place.data}):\n${initdb.logTail()}`);
  }
  renameSync(target, place.data);
  rmSync(unfinished, { recursive: true, force: true });
}

function refuseOtherVersion(place: Place): void {
  const ofData = readFileSync(path.join(place.data, 'PG_VERSION'), 'utf8').trim();
  const version = spawnSync(place.binaries.postgres, ['--version'], {
    ...place.owner,
    encoding: 'utf8',
    env: environmentWith({}),
  });
  const ofProgram = /(\d+)\.\d+/.exec(version.stdout ?? '')?.[1];
  if (ofProgram === undefined)
    throw new PostgresUnusable(`${place.binaries.postgres} doesn't run here: ${version.stderr ?? version.error}`);
  if (ofData !== ofProgram)
    throw new PostgresUnusable(
      `The data in ${place.folder} is of Postgres ${ofData}, installed is ${ofProgram}. ` +
        'Move that folder away (its content is lost to this version) and start again.',
    );
}

async function startSomewhere(place: Place, options: PostgresOptions): Promise<{ child: Child; port: number }> {
  for (let attempt = 1; ; attempt += 1) {
    const port = options.port ?? (await freePort());
    const child = await startChild({
      command: place.binaries.postgres,
      args: ['-D', place.data, '-p', String(port), ...flagsOf(options)],
      cwd: path.dirname(place.data),
      owner: place.owner,
      logFile: place.logFile,
      stopSignal: 'SIGINT', // "fast": ends connections, writes everything down
      stopWithinMs: STOP_WITHIN_MS,
    });
    if (await answers(child, urlOf(place, port, 'postgres'))) return { child, port };
    const tail = child.logTail();
    await child.stop();
    if (attempt >= START_ATTEMPTS || !WORTH_ANOTHER_START.test(tail))
      throw new PostgresUnusable(`Postgres didn't start. The end of ${place.logFile}:\n${tail}`);
    await sleep(START_AGAIN_AFTER_MS);
  }
}

function flagsOf({ durable = true, maxConnections = 200 }: PostgresOptions): string[] {
  const settings = [
    'listen_addresses=127.0.0.1',
    'unix_socket_directories=',
    `max_connections=${maxConnections}`,
    'timezone=UTC',
    'log_timezone=UTC',
    ...(durable ? [] : ['fsync=off', 'full_page_writes=off', 'synchronous_commit=off']),
  ];
  return settings.flatMap((setting) => ['-c', setting]);
}

/** Waits until it answers a query; false where it exited, or didn't in time. */
async function answers(child: Child, url: string): Promise<boolean> {
  const deadlineMs = performance.now() + READY_WITHIN_MS;
  while (!child.hasExited() && performance.now() < deadlineMs) {
    if (await Promise.race([answersOnce(url), child.exited.then(() => false)])) return !child.hasExited();
    await sleep(READY_POLL_MS);
  }
  return false;
}

async function answersOnce(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_WITHIN_MS });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('SELECT 1');
    await client.end();
    return true;
  } catch {
    client.end().catch(() => undefined); // what never connected may never say that it ended
    return false;
  }
}

async function ensureDatabase(place: Place, port: number): Promise<void> {
  const client = new pg.Client({ connectionString: urlOf(place, port, 'postgres') });
  await client.connect();
  try {
    const found = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [DATABASE]);
    if (found.rowCount === 0) await client.query(`CREATE DATABASE ${DATABASE}`);
  } finally {
    await client.end();
  }
}

function urlOf(place: Place, port: number, database: string): string {
  return `postgres://${SUPERUSER}:${place.password}@127.0.0.1:${port}/${database}`;
}
