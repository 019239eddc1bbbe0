import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Machine } from './find-nats-server.js';
import { ensureNatsServer, NatsServerMissing } from './install-nats-server.js';

/** Each machine here has programs of its own, written for the purpose: what they are asked is in their diary. */
describe('Where there is no nats-server', () => {
  let folder: string;
  let said: string[];

  beforeEach(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'sluice machine '));
    mkdirSync(path.join(folder, 'bin'));
    said = [];
  });

  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  function machine(differences: Partial<Machine> = {}): Machine {
    return {
      named: null,
      directories: [path.join(folder, 'bin'), '/nonexistent'],
      home: path.join(folder, 'home'),
      isRoot: false,
      ...differences,
    };
  }

  function program(name: string, script: string): void {
    const file = path.join(folder, 'bin', name);
    writeFileSync(file, `#!/bin/sh\nPATH=/usr/bin:/bin\necho ${name} "$@" >> "${folder}/diary"\n${script}\n`);
    chmodSync(file, 0o755);
  }

  const serverOf = (version: string): string => `#!/bin/sh\\necho "nats-server: v${version}"\\n`;
  const unpacks = `mkdir -p unpacked/usr/sbin; printf '${serverOf('2.10.27')}' > unpacked/usr/sbin/nats-server; chmod 755 unpacked/usr/sbin/nats-server`;
  const diary = (): string => readFileSync(path.join(folder, 'diary'), 'utf8');

  it('its Debian package is unpacked into our own folder, after saying so, and found from then on', () => {
    program('apt-get', 'touch nats-server_2.10.27_amd64.deb');
    program('dpkg', unpacks);
    const found = ensureNatsServer({ say: (line) => said.push(line), machine: machine() });
    expect(found).toEqual({ path: path.join(folder, 'home/bin/nats-server'), version: '2.10.27' });
    expect(said).toEqual([expect.stringContaining('downloading its package with apt-get')]);
    expect(diary()).not.toContain('install');
    rmSync(path.join(folder, 'diary'));
    expect(ensureNatsServer({ say: (line) => said.push(line), machine: machine() })).toEqual(found);
    expect(existsSync(path.join(folder, 'diary'))).toBe(false);
  });

  it("package lists are fetched into our own folder where the system's are empty", () => {
    program(
      'apt-get',
      `case "$*" in
         *update*) touch apt/updated ;;
         *) test -e apt/updated && touch nats-server.deb || exit 100 ;;
       esac`,
    );
    program('dpkg', unpacks);
    expect(ensureNatsServer({ say: (line) => said.push(line), machine: machine() }).version).toBe('2.10.27');
    expect(diary()).toMatch(/Dir::State::lists=.*home\/nats-server-.*update/);
  });

  it('a package manager that needs no root installs it', () => {
    const target = path.join(folder, 'bin/nats-server');
    program('brew', `printf '${serverOf('2.12.1')}' > "${target}"; chmod 755 "${target}"`);
    expect(ensureNatsServer({ say: (line) => said.push(line), machine: machine() }).path).toBe(target);
    expect(said).toEqual([expect.stringContaining('brew install nats-server')]);
  });

  it('one that needs root goes by sudo where that asks nothing', () => {
    const target = path.join(folder, 'bin/nats-server');
    program('sudo', 'shift; exec "$@"');
    program('dnf', `printf '${serverOf('2.11.0')}' > "${target}"; chmod 755 "${target}"`);
    chmodSync(path.join(folder, 'bin/dnf'), 0o755);
    const sudo = readFileSync(path.join(folder, 'bin/sudo'), 'utf8');
    writeFileSync(
      path.join(folder, 'bin/sudo'),
      sudo.replace('PATH=/usr/bin:/bin', `PATH="${folder}/bin:/usr/bin:/bin"`),
    );
    expect(ensureNatsServer({ say: (line) => said.push(line), machine: machine() }).version).toBe('2.11.0');
    expect(diary()).toContain('sudo -n dnf install -y nats-server');
  });

  it('and no way to get it, the exact command is named', () => {
    program('dnf', 'exit 1');
    const attempt = (): unknown => ensureNatsServer({ say: (line) => said.push(line), machine: machine() });
    expect(attempt).toThrow(NatsServerMissing);
    expect(attempt).toThrow(/\n {2}sudo dnf install -y nats-server\n/);
    expect(said).toEqual([]);
  });

  it('and no package manager either, the other ways are named', () => {
    const attempt = (): unknown => ensureNatsServer({ say: (line) => said.push(line), machine: machine() });
    expect(attempt).toThrow(/NATS_SERVER=.*\n.*docker compose up/);
  });

  it('of a usable version, the old one is not taken', () => {
    const target = path.join(folder, 'bin/nats-server');
    program('nats-server', 'echo "nats-server: v2.8.4"');
    program('brew', `printf '${serverOf('2.12.1')}' > "${target}"; chmod 755 "${target}"`);
    expect(ensureNatsServer({ say: (line) => said.push(line), machine: machine() }).version).toBe('2.12.1');
  });

  it('at the place that NATS_SERVER names, nothing else is taken in silence', () => {
    const named = path.join(folder, 'bin/nothing');
    const attempt = (): unknown => ensureNatsServer({ say: (line) => said.push(line), machine: machine({ named }) });
    expect(attempt).toThrow(/NATS_SERVER=.*nothing is no nats-server/);
  });
});
