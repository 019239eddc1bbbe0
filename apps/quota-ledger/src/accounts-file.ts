import { readFileSync } from 'node:fs';
import { parseAccounts } from '#accounts';
import type { Log } from '#telemetry';

/** The file of accounts can't be read, or something in it is wrong; each problem is logged with its line. */
export class AccountsFileUnusable extends Error {
  readonly code = 'invalid_accounts';
  constructor(file: string, problems: number, options?: ErrorOptions) {
    super(`the file of accounts ${file} can't be used${problems > 0 ? `: ${problems} problems` : ''}`, options);
    this.name = 'AccountsFileUnusable';
  }
}

/**
 * The text of a sound file of accounts.
 *
 * @throws AccountsFileUnusable
 */
export function readAccountsFile(file: string, log: Log): string {
  let yaml: string;
  try {
    yaml = readFileSync(file, 'utf8');
  } catch (error) {
    throw new AccountsFileUnusable(file, 0, { cause: error });
  }
  const parsed = parseAccounts(yaml);
  if (parsed.ok) return yaml;
  for (const { line, column, path, message } of parsed.problems)
    log.error(`${file}:${line}:${column} ${path} ${message}`, { line, column, path });
  throw new AccountsFileUnusable(file, parsed.problems.length);
}
