/*
 * Both Docker ways, for those who have Docker: the tests with servers on containers, then all of Sluice by
 * docker compose, through one call's events to its ticket in the simulated Zendesk, and away again. Data of a Sluice that
 * already runs by compose stays untouched: this one has a project name and ports of its own.
 *   node scripts/test-docker.mjs [tests|compose]     both where left out
 */
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { prepare, root, say } from './prepare.mjs';

const PROJECT = 'sluice-docker-test';
const INGEST_PASSWORD = 'docker-test';
const UP_WITHIN_S = 300;
const TICKET_WITHIN_MS = 60_000;
const POLL_MS = 500;

const wanted = process.argv[2];
if (!['tests', 'compose', undefined].includes(wanted)) {
  say('Usage: node scripts/test-docker.mjs [tests|compose]');
  process.exit(64);
}

prepare({ build: true });
requireDocker();
if (wanted !== 'compose') testOnContainers();
if (wanted !== 'tests') await tryCompose();
say(wanted === undefined ? 'Both Docker ways work.' : `The Docker way works: ${wanted}.`);

function requireDocker() {
  for (const command of ['version', 'compose version'])
    if (spawnSync('docker', command.split(' '), { stdio: 'ignore' }).status !== 0) {
      say(`This needs a Docker engine and Docker Compose v2 (docker ${command} fails).`);
      process.exit(1);
    }
}

function testOnContainers() {
  say('Tests with servers, on containers:');
  const run = spawnSync(
    process.execPath,
    [
      '--experimental-vm-modules',
      '--disable-warning=ExperimentalWarning',
      path.join(root, 'node_modules/jest/bin/jest.js'),
      '--selectProjects',
      'integration',
      // How servers are started without Docker is none of Docker's business.
      '--testPathIgnorePatterns=/node_modules/',
      '--testPathIgnorePatterns=/libs/embedded/',
    ],
    { cwd: root, stdio: ['inherit', 2, 2], env: { ...process.env, TEST_INFRA: 'containers' } },
  );
  if (run.status !== 0) process.exit(run.status ?? 1);
}

async function tryCompose() {
  const [ingest, simulator, nats] = [await freePort(), await freePort(), await freePort()];
  const env = {
    ...process.env,
    COMPOSE_PROFILES: 'demo',
    SLUICE_INGEST_PORT: String(ingest),
    SLUICE_SIMULATOR_PORT: String(simulator),
    SLUICE_NATS_PORT: String(nats),
    SLUICE_ACCOUNTS: './deploy/accounts.example.yaml',
    DEMO_CCAI_PASSWORD: INGEST_PASSWORD,
  };
  const compose = (...args) =>
    spawnSync('docker', ['compose', '-p', PROJECT, ...args], { cwd: root, stdio: ['ignore', 2, 2], env }).status === 0;
  // Once, and however this ends.
  let isUp = true;
  const down = () => {
    if (isUp) compose('down', '-v', '--timeout', '15');
    isUp = false;
  };
  process.on('exit', down);
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(130));

  say('All of Sluice by docker compose:');
  if (!compose('up', '--build', '--wait', '--wait-timeout', String(UP_WITHIN_S))) {
    compose('ps', '--all');
    compose('logs', '--tail', '40');
    fail('docker compose up failed.');
  }
  await sendCall(`http://127.0.0.1:${ingest}`);
  const ticket = await eventualTicket(`http://127.0.0.1:${simulator}`);
  if (ticket === null) {
    compose('logs', '--tail', '40');
    fail(`No ticket within ${TICKET_WITHIN_MS} ms.`);
  }
  say(`A call sent to ingest has its ticket: ${JSON.stringify(ticket.external_id)}.`);
  down();
}

/** One finished call, as CCAI's webhook sends it. */
async function sendCall(ingestUrl) {
  const now = new Date().toISOString();
  const caller = '+12025550100';
  const event = {
    event_id: randomUUID(),
    timestamp: Date.now(),
    connected_at: null,
    ends_at: now,
    initiator: caller,
    item: {
      call_id: 4711,
      state: 'finished',
      direction: 'incoming',
      session_type_v2: 'IVR',
      language: 'en',
      initiator: caller,
      queue_path_names: 'support/orders',
      participants: [{ type: 'external', state: 'disconnected', dn: caller }],
    },
  };
  const answer = await fetch(`${ingestUrl}/v1/demo/ccai/calls`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Basic ${Buffer.from(`ccai:${INGEST_PASSWORD}`).toString('base64')}`,
    },
    body: JSON.stringify({ count: 1, events: [event] }),
  });
  const said = await answer.text();
  say(`ingest answers ${answer.status}: ${said}`);
  if (answer.status !== 202) fail('ingest refused the event.');
}

async function eventualTicket(simulatorUrl) {
  for (let waitedMs = 0; waitedMs < TICKET_WITHIN_MS; waitedMs += POLL_MS) {
    const answer = await fetch(`${simulatorUrl}/_control/tickets`).catch(() => null);
    const tickets = answer?.ok ? ((await answer.json()).tickets ?? []) : [];
    if (tickets.length > 0) return tickets[0];
    await sleep(POLL_MS);
  }
  return null;
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

function fail(message) {
  say(message);
  process.exit(1);
}
