import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Child, startChild } from './child.js';
import { findNatsServer, type NatsServerProgram } from './find-nats-server.js';
import { NatsServerMissing } from './install-nats-server.js';
import { endLeftover } from './leftover.js';

const READY_WITHIN_MS = 20_000;
const READY_POLL_MS = 20;
const STOP_WITHIN_MS = 10_000;

/** What a configuration must be made for. `port` and `monitorPort` may be -1: the server picks free ones. */
export interface NatsConfigNeeds {
  readonly port: number;
  readonly monitorPort: number;
  readonly storeDir: string;
  readonly serverVersion: string;
}

export interface NatsOptions {
  /** JetStream's files; a pid file, the configuration and the log lie beside them. Made where it doesn't exist. */
  readonly storeDir: string;
  /** The text of nats-server.conf for these ports, this folder and this version. */
  readonly config: (needs: NatsConfigNeeds) => string;
  /** Port on 127.0.0.1; a free one where left out. */
  readonly port?: number;
  /** Which nats-server; the one `findNatsServer` finds where left out. */
  readonly program?: NatsServerProgram;
}

/** A nats-server of our own that runs. */
export interface EmbeddedNats {
  /** `nats://127.0.0.1:4222`: without user and password. */
  readonly url: string;
  /** `http://127.0.0.1:8222`: the server's own books. */
  readonly monitorUrl: string;
  readonly port: number;
  readonly version: string;
  readonly pid: number;
  readonly storeDir: string;
  readonly logFile: string;
  stop(): Promise<void>;
  /** kill -9. */
  kill9(): Promise<void>;
  /** Starts it again on the same ports and files, after `stop` or `kill9`. */
  restart(): Promise<void>;
}

/**
 * Starts a real nats-server as a process of its own. Resolves once its door and JetStream are open. Throws
 * NatsServerMissing where there is no program (see `ensureNatsServer`), DataDirectoryInUse where the folder belongs to
 * one that runs.
 */
export async function startNats(options: NatsOptions): Promise<EmbeddedNats> {
  const program = options.program ?? findNatsServer();
  if (program === null)
    throw new NatsServerMissing('There is no nats-server; `npm run demo` or `npm test` fetches one.');
  const { storeDir } = options;
  mkdirSync(storeDir, { recursive: true, mode: 0o700 });
  const pidFile = path.join(storeDir, 'nats-server.pid');
  await endLeftover(pidFile, 'nats-server', 'SIGTERM');
  const logFile = path.join(storeDir, 'nats-server.log');
  const configFile = path.join(storeDir, 'nats-server.conf');
  const start = async (port: number, monitorPort: number): Promise<{ child: Child; ports: Ports }> => {
    // It holds passwords: nobody else may read it, from its first moment.
    rmSync(configFile, { force: true });
    const needs = { port, monitorPort, storeDir, serverVersion: program.version };
    writeFileSync(configFile, options.config(needs), { mode: 0o600 });
    const portsDirectory = mkdtempSync(path.join(os.tmpdir(), 'sluice-ports-'));
    try {
      const child = await startChild({
        command: program.path,
        args: ['-c', configFile, '-P', pidFile, '--ports_file_dir', portsDirectory],
        cwd: storeDir,
        logFile,
        stopSignal: 'SIGTERM',
        stopWithinMs: STOP_WITHIN_MS,
      });
      return { child, ports: await portsOf(child, portsDirectory, logFile) };
    } finally {
      rmSync(portsDirectory, { recursive: true, force: true });
    }
  };
  const first = await start(options.port ?? -1, -1);
  const { nats: port, monitor: monitorPort } = first.ports;
  let { child } = first;
  return {
    url: `nats://127.0.0.1:${port}`,
    monitorUrl: `http://127.0.0.1:${monitorPort}`,
    port,
    version: program.version,
    storeDir,
    logFile,
    get pid() {
      return child.pid;
    },
    stop: async () => {
      await child.stop();
    },
    kill9: async () => {
      await child.kill9();
    },
    restart: async () => {
      child = (await start(port, monitorPort)).child;
    },
  };
}

interface Ports {
  readonly nats: number;
  readonly monitor: number;
}

/** The server writes its ports down when they are open; JetStream is recovered before, but its door answers after. */
async function portsOf(child: Child, directory: string, logFile: string): Promise<Ports> {
  for (let waitedMs = 0; waitedMs < READY_WITHIN_MS && !child.hasExited(); waitedMs += READY_POLL_MS) {
    const ports = readPorts(directory);
    if (ports !== null && (await isHealthy(ports.monitor))) return ports;
    await sleep(READY_POLL_MS);
  }
  const tail = child.logTail();
  await child.stop();
  throw new Error(`nats-server didn't start. The end of ${logFile}:\n${tail}`);
}

function readPorts(directory: string): Ports | null {
  const file = existsSync(directory) ? readdirSync(directory).find((name) => name.endsWith('.ports')) : undefined;
  if (file === undefined) return null;
  try {
    const written = JSON.parse(readFileSync(path.join(directory, file), 'utf8')) as PortsFile;
    const [nats, monitor] = [written.nats?.[0], written.monitoring?.[0]].map((url) => Number(url && new URL(url).port));
    return nats && monitor ? { nats, monitor } : null;
  } catch {
    return null; // half written
  }
}

interface PortsFile {
  readonly nats?: readonly string[];
  readonly monitoring?: readonly string[];
}

async function isHealthy(monitorPort: number): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${monitorPort}/healthz`, { signal: AbortSignal.timeout(1_000) });
    return response.ok;
  } catch {
    return false;
  }
}
