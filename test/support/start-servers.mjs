/*
 * Jest's set-up for tests with servers, run once: one Postgres for all spec files (each makes a database of its own in
 * it), and a nats-server program for those that start one. What the tests need to know goes to them by environment.
 *
 *   TEST_POSTGRES_URL=postgres://…   use this one (its user must be allowed to create databases)
 *   TEST_NATS_URL=nats://…           use this one (its streams are deleted before each spec file: run jest with -i)
 *   TEST_INFRA=containers            use testcontainers: postgres:17 and nats:2-alpine
 *   none of them                     Postgres from npm's binaries, nats-server found or fetched
 */
import { randomUUID } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { register } from 'node:module';
import os from 'node:os';
import path from 'node:path';

register('./typescript-loader.mjs', import.meta.url);

export default async function startServers() {
  const say = (line) => process.stderr.write(`${line}\n`);
  const { ensureNatsServer, removeAtEnd, forgetDirectory, startPostgres } =
    await import('../../libs/embedded/src/index.ts');
  const containers = process.env.TEST_INFRA === 'containers';
  const stops = [];
  globalThis.stopTestServers = async () => {
    for (const stop of stops) await stop();
  };

  if (process.env.TEST_POSTGRES_URL) {
    process.env.SLUICE_TEST_POSTGRES = process.env.TEST_POSTGRES_URL;
  } else if (containers) {
    const { PostgreSqlContainer } = await import('@testcontainers/postgresql');
    const postgres = await new PostgreSqlContainer('postgres:17')
      .withCommand(['postgres', '-c', 'fsync=off', '-c', 'max_connections=200'])
      .start();
    stops.push(() => postgres.stop());
    process.env.SLUICE_TEST_POSTGRES = postgres.getConnectionUri();
    process.env.SLUICE_TEST_RUN = randomUUID();
    stops.push(() => removeContainersOf(process.env.SLUICE_TEST_RUN));
  } else {
    const dataDir = mkdtempSync(path.join(os.tmpdir(), 'sluice-test-postgres-'));
    const postgres = await startPostgres({ dataDir, persistent: false, durable: false });
    stops.push(() => postgres.stop());
    process.env.SLUICE_TEST_POSTGRES = postgres.url;
  }

  if (!containers) provideNatsServer(() => ensureNatsServer({ say }), say);

  // Whatever a spec file leaves on the disk goes with this folder, however the run ends.
  const scratch = mkdtempSync(path.join(os.tmpdir(), 'sluice-test-'));
  removeAtEnd(scratch);
  stops.push(() => forgetAndRemove(scratch, forgetDirectory));
  process.env.SLUICE_TEST_DIRECTORY = scratch;
}

async function forgetAndRemove(directory, forgetDirectory) {
  const { rm } = await import('node:fs/promises');
  await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  forgetDirectory(directory);
}

/** What spec files that broke off left running; testcontainers' own reaper may be switched off. */
async function removeContainersOf(run) {
  const { getContainerRuntimeClient } = await import('testcontainers');
  const { container: runtime } = await getContainerRuntimeClient();
  for (const { Id, Labels } of await runtime.list())
    if (Labels['sluice.test-run'] === run) await runtime.getById(Id).remove({ force: true, v: true });
}

/** Where a server is given, tests that need one with users, or one to kill, still start their own. */
function provideNatsServer(ensure, say) {
  try {
    ensure();
  } catch (error) {
    if (!process.env.TEST_NATS_URL) throw error;
    say(`Tests that need a nats-server of their own will fail: ${error.message}`);
  }
}
