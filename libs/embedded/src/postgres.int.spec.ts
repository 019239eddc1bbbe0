import { spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Socket } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { DataDirectoryInUse } from './leftover.js';
import { type EmbeddedPostgres, startPostgres } from './postgres.js';
import { projectRoot } from './project-root.js';

const GONE_WITHIN_MS = 15_000;
const POLL_MS = 50;

describe('A Postgres of our own', () => {
  const cleanUps: (() => Promise<void> | void)[] = [];

  afterEach(async () => {
    for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
  });

  /** As a project's folder usually is: others may look in. */
  function folder(mode = 0o755): string {
    const made = mkdtempSync(path.join(os.tmpdir(), 'sluice embedded '));
    chmodSync(made, mode);
    cleanUps.push(() => rmSync(made, { recursive: true, force: true }));
    return made;
  }

  async function start(options: Parameters<typeof startPostgres>[0]): Promise<EmbeddedPostgres> {
    const server = await startPostgres(options);
    cleanUps.push(() => server.stop());
    return server;
  }

  it('answers on 127.0.0.1 with a password only, and leaves nothing when it is temporary', async () => {
    const dataDir = path.join(folder(), 'temporary');
    const server = await start({ dataDir, persistent: false, durable: false });
    expect(await ask(server.url, 'SELECT current_database() AS answer')).toBe('sluice');
    expect(await ask(server.url, 'SHOW listen_addresses')).toBe('127.0.0.1');
    const noPassword = new URL(server.url);
    noPassword.password = 'guess';
    await expect(ask(noPassword.href, 'SELECT 1')).rejects.toThrow(/password authentication failed/);
    expect(statSync(path.join(dataDir, 'password')).mode & 0o077).toBe(0);
    await server.stop();
    expect(existsSync(dataDir)).toBe(false);
  });

  it('finds its data again the second time, in a path with spaces', async () => {
    const dataDir = path.join(folder(), 'kept data');
    const first = await start({ dataDir, persistent: true });
    await ask(first.url, 'CREATE TABLE kept (id int)');
    await first.stop();
    const second = await start({ dataDir, persistent: true });
    expect(await ask(second.url, "SELECT to_regclass('kept')::text")).toBe('kept');
    expect(await ask(second.url, 'SHOW fsync')).toBe('on');
  });

  it('works in a folder that only we can enter, and takes all of its data along when it is temporary', async () => {
    const dataDir = path.join(folder(0o700), 'private');
    const server = await start({ dataDir, persistent: false, durable: false });
    expect(await ask(server.url, 'SELECT 1')).toBe(1);
    const data = realpathSync(path.join(dataDir, 'data'));
    await server.stop();
    expect([existsSync(dataDir), existsSync(data)]).toEqual([false, false]);
  });

  it('comes back on the same URL after kill -9, with what was committed', async () => {
    const server = await start({ dataDir: folder(), persistent: true });
    await ask(server.url, 'CREATE TABLE committed (id int)');
    await server.kill9();
    await expect(ask(server.url, 'SELECT 1')).rejects.toThrow(/ECONNREFUSED/);
    await server.restart();
    expect(await ask(server.url, "SELECT to_regclass('committed')::text")).toBe('committed');
  });

  it('says so where the port it was told to use is taken', async () => {
    const connections: Socket[] = [];
    const blocker = createServer((connection) => void connections.push(connection));
    await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.1', resolve));
    cleanUps.push(() => {
      for (const connection of connections) connection.destroy();
      blocker.close();
    });
    const address = blocker.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    await expect(startPostgres({ dataDir: folder(), persistent: false, port, durable: false })).rejects.toThrow(
      /Address already in use/,
    );
  });

  it('refuses a folder whose server runs, and a half-made data directory is made again', async () => {
    const dataDir = folder();
    writeFileSync(path.join(dataDir, 'password'), 'left-by-a-start-that-was-broken-off');
    const server = await start({ dataDir, persistent: true, durable: false });
    expect(await ask(server.url, 'SELECT 1')).toBe(1);
    await expect(startPostgres({ dataDir, persistent: true })).rejects.toThrow(DataDirectoryInUse);
  });

  it('starts where a killed machine left its process file behind, whatever has that number now', async () => {
    const dataDir = folder();
    const first = await start({ dataDir, persistent: true, durable: false });
    await first.stop();
    const stale = [process.pid, path.join(dataDir, 'data'), 0, 5432, '', '127.0.0.1', ' 0 0', 'ready'].join('\n');
    writeFileSync(path.join(dataDir, 'data/postmaster.pid'), stale);
    const second = await start({ dataDir, persistent: true, durable: false });
    expect(await ask(second.url, 'SELECT 1')).toBe(1);
  });

  it('ends when its starter is killed with -9, and the next start finds all in order', async () => {
    const parent = folder();
    const [kept, temporary] = [path.join(parent, 'kept'), path.join(parent, 'temporary')];
    const starter = spawn(process.execPath, ['--input-type=module', '-e', STARTER, kept, temporary], {
      cwd: projectRoot(),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const urls = JSON.parse(await firstLineOf(starter.stdout)) as string[];
    for (const url of urls) expect(await ask(url, 'SELECT 1')).toBe(1);
    starter.kill('SIGKILL');
    for (const url of urls)
      await eventually(() =>
        ask(url, 'SELECT 1').then(
          () => false,
          () => true,
        ),
      );
    await eventually(() => !existsSync(temporary));
    const again = await start({ dataDir: kept, persistent: true, durable: false });
    expect(await ask(again.url, 'SELECT 1')).toBe(1);
    expect(readFileSync(again.logFile, 'utf8')).toContain('ready to accept connections');
  });
});

/** A program that starts a lasting and a temporary server, says where, and waits to be killed. */
const STARTER = `
  import { register } from 'node:module';
  import { pathToFileURL } from 'node:url';
  register('./test/support/typescript-loader.mjs', pathToFileURL(process.cwd() + '/'));
  const { startPostgres } = await import(pathToFileURL(process.cwd() + '/libs/embedded/src/postgres.ts').href);
  const [kept, temporary] = process.argv.slice(1);
  const servers = [
    await startPostgres({ dataDir: kept, persistent: true, durable: false }),
    await startPostgres({ dataDir: temporary, persistent: false, durable: false }),
  ];
  console.log(JSON.stringify(servers.map((server) => server.url)));
  setInterval(() => undefined, 1_000);
`;

async function ask(url: string, query: string): Promise<unknown> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    const { rows } = await client.query<Record<string, unknown>>(query);
    return Object.values(rows[0] ?? {})[0];
  } finally {
    await client.end();
  }
}

function firstLineOf(stream: NodeJS.ReadableStream): Promise<string> {
  return new Promise((resolve) => {
    let read = '';
    stream.on('data', (chunk: Buffer) => {
      read += chunk.toString();
      if (read.includes('\n')) resolve(read.split('\n')[0] ?? '');
    });
  });
}

async function eventually(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let waitedMs = 0; waitedMs < GONE_WITHIN_MS; waitedMs += POLL_MS) {
    if (await holds()) return;
    await sleep(POLL_MS);
  }
  throw new Error(`Not within ${GONE_WITHIN_MS} ms.`);
}
