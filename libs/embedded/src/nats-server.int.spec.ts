import { mkdtempSync, rmSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { findNatsServer, programAt } from './find-nats-server.js';
import { DataDirectoryInUse } from './leftover.js';
import { type NatsConfigNeeds, startNats } from './nats-server.js';

describe('A nats-server of our own', () => {
  const cleanUps: (() => Promise<void> | void)[] = [];

  afterEach(async () => {
    for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
  });

  function folder(): string {
    const made = mkdtempSync(path.join(os.tmpdir(), 'sluice embedded '));
    cleanUps.push(() => rmSync(made, { recursive: true, force: true }));
    return made;
  }

  it('keeps what it stored over kill -9, on the same ports, and its configuration to itself', async () => {
    const storeDir = path.join(folder(), 'with spaces');
    const server = await startNats({ storeDir, config });
    cleanUps.push(() => server.stop());
    expect(statSync(path.join(storeDir, 'nats-server.conf')).mode & 0o077).toBe(0);
    const before = await connect({ servers: server.url, reconnect: false });
    await (await jetstreamManager(before)).streams.add({ name: 'KEPT', subjects: ['kept'] });
    await jetstream(before).publish('kept', new TextEncoder().encode('this'));
    const { url, pid } = server;
    await server.kill9();
    await before.closed();
    await server.restart();
    expect([server.url, server.pid === pid]).toEqual([url, false]);
    const after = await connect({ servers: server.url, reconnect: false });
    expect((await (await jetstreamManager(after)).streams.info('KEPT')).state.messages).toBe(1);
    await after.close();
    expect((await fetch(`${server.monitorUrl}/jsz`)).ok).toBe(true);
  });

  it('refuses a folder whose server runs', async () => {
    const storeDir = folder();
    const server = await startNats({ storeDir, config });
    cleanUps.push(() => server.stop());
    await expect(startNats({ storeDir, config })).rejects.toThrow(DataDirectoryInUse);
  });

  it('says what its log says where the configuration is wrong', async () => {
    await expect(startNats({ storeDir: folder(), config: () => 'no_such_field: 1\nport: -1\n' })).rejects.toThrow(
      /unknown field "no_such_field"/,
    );
  });

  it('is found with its version, and nothing else is taken for it', () => {
    expect(findNatsServer()?.version).toMatch(/^\d+\.\d+\.\d+$/);
    expect(programAt(process.execPath)?.version).not.toBe(findNatsServer()?.version);
    expect(programAt('/nowhere/nats-server')).toBeNull();
    expect(programAt('/bin/false')).toBeNull();
  });
});

function config({ port, monitorPort, storeDir }: NatsConfigNeeds): string {
  return [
    `host: 127.0.0.1`,
    `port: ${port}`,
    `http: "127.0.0.1:${monitorPort}"`,
    `jetstream { store_dir: "${storeDir}" }`,
  ].join('\n');
}
