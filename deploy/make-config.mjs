/*
 * Run once before the servers start: checks the accounts, makes a password for each NATS user and for Postgres (the same
 * at every later run), and writes nats-server.conf with the permissions that the accounts imply. Everything goes to one
 * volume, readable by its owner only.
 *
 *   ACCOUNTS_FILE        the accounts (default /accounts.yaml)
 *   CONFIG_DIR           where to write (default /config)
 *   NATS_SERVER_VERSION  of the server that will read it (default 2.10.0)
 */
import { chmodSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { natsServerConfig, natsUsers, parseAccounts } from '#accounts';
import { passwordsFor, secretFile } from '#embedded';

const accountsFile = process.env.ACCOUNTS_FILE || '/accounts.yaml';
const directory = process.env.CONFIG_DIR || '/config';
const serverVersion = process.env.NATS_SERVER_VERSION || '2.10.0';
const WRONG_ACCOUNTS = 78;

const parsed = parseAccounts(readFileSync(accountsFile, 'utf8'));
if (!parsed.ok) {
  for (const { line, column, path: at, message } of parsed.problems)
    console.error(`${accountsFile}:${line}:${column}: ${at} ${message}`);
  process.exit(WRONG_ACCOUNTS);
}

const users = natsUsers(parsed.accounts).map(({ user }) => user);
const natsPasswords = passwordsFor(users, path.join(directory, 'nats-passwords'));
const { password } = passwordsFor(['password'], path.join(directory, 'postgres'));
secretFile(path.join(directory, 'postgres/url'), `postgres://sluice:${password}@postgres:5432/sluice`);

const config = natsServerConfig({
  accounts: parsed.accounts,
  passwords: natsPasswords,
  serverVersion,
  host: '0.0.0.0',
  port: 4222,
  monitorPort: 8222,
  storeDir: '/data',
  syncAlways: true,
});
// In one step: a server that reloads never reads half of it.
const target = path.join(directory, 'nats-server.conf');
writeFileSync(`${target}.new`, config, { mode: 0o600 });
chmodSync(`${target}.new`, 0o600);
renameSync(`${target}.new`, target);
console.error(`${parsed.accounts.length} accounts, ${users.length} NATS users: ${target} is written.`);
