import 'reflect-metadata';
import { type AccountConfig, DEFAULT_QUOTA_POLICY, type QuotaPolicy } from '#contracts';
import { limitsOf } from '#limits';
import { checkName } from './check-name.js';
import { type AccountProblem, type Path, ProblemReport } from './problem-report.js';
import { readCrm, ZENDESK_ONLY } from './read-crm.js';
import { readIntegrations } from './read-integrations.js';
import { readLimits } from './read-limits.js';
import { readPolicy } from './read-policy.js';
import { AccountSection, FileSection, percentOf, QuotaSection } from './sections.js';

export type ParsedAccounts =
  | { readonly ok: true; readonly accounts: readonly AccountConfig[] }
  | { readonly ok: false; readonly problems: readonly AccountProblem[] };

/** Longest file of accounts accepted, in characters. */
export const MAX_ACCOUNTS_FILE_LENGTH = 4_000_000;
const MAX_ACCOUNTS = 10_000;

/**
 * A file of accounts, checked as a whole: either every account with its defaults filled in, or every problem with its
 * line, in the order of the file. Doesn't throw. Never resolves a secret, and never repeats a value in a message.
 */
export function parseAccounts(yamlText: string): ParsedAccounts {
  if (yamlText.length > MAX_ACCOUNTS_FILE_LENGTH)
    return {
      ok: false,
      problems: [
        { line: 1, column: 1, path: '', message: `the file is longer than ${MAX_ACCOUNTS_FILE_LENGTH} characters` },
      ],
    };
  const report = new ProblemReport(yamlText);
  const value = report.value();
  const accounts = report.problems.length === 0 ? readFile(report, value) : [];
  if (report.problems.length === 0) return { ok: true, accounts };
  return { ok: false, problems: report.problems.toSorted((a, b) => a.line - b.line || a.column - b.column) };
}

function readFile(report: ProblemReport, value: unknown): AccountConfig[] {
  const file = report.section(FileSection, [], value);
  const entries = file && report.mapAt(['accounts'], file.accounts);
  if (!entries) return [];
  const names = Object.keys(entries);
  if (names.length === 0) report.add(['accounts'], 'is empty; declare at least one account');
  if (names.length > MAX_ACCOUNTS) report.add(['accounts'], `holds more than ${MAX_ACCOUNTS} accounts`);
  return names.flatMap((name) => readAccount(report, name, entries[name]) ?? []);
}

function readAccount(report: ProblemReport, name: string, value: unknown): AccountConfig | null {
  const path = ['accounts', name];
  checkName(report, path, name, 'an account');
  const section = report.section(AccountSection, path, value);
  if (!section) return null;
  const before = report.problems.length;
  const crm = readCrm(report, [...path, 'crm'], section.crm);
  const limits = readLimits(report, [...path, 'limits'], section.limits, crm);
  // Of limits that are wrong themselves nothing can be said about shares.
  const inForce = crm && limits && report.problems.length === before ? limitsOf({ crm, limits }) : null;
  const written = !crm || crm.type === 'zendesk';
  const integrations = readIntegrations(report, [...path, 'integrations'], section.integrations, { written, inForce });
  const quota = readQuota(report, [...path, 'quota'], section.quota);
  const policy = readPolicy(report, [...path, 'policy'], section.policy);
  if (!written)
    for (const key of ['batching', 'policy', 'dryRun'] as const)
      if (section[key] !== undefined) report.addKey([...path, key], `${ZENDESK_ONLY}; remove ${key}`);
  if (!crm || !limits || !integrations || !quota || !policy) return null;
  const batching = section.batching ?? 'auto';
  return { name, crm, limits, batching, integrations, policy, quota, dryRun: section.dryRun ?? false };
}

function readQuota(report: ProblemReport, path: Path, value: unknown): QuotaPolicy | null {
  if (value === undefined || value === null) return DEFAULT_QUOTA_POLICY;
  const section = report.section(QuotaSection, path, value);
  if (!section) return null;
  return {
    mode: section.mode ?? DEFAULT_QUOTA_POLICY.mode,
    liveReservePercent: percentOf(section.liveReserve) ?? DEFAULT_QUOTA_POLICY.liveReservePercent,
    spreadBacklog: section.spreadBacklog ?? DEFAULT_QUOTA_POLICY.spreadBacklog,
    foreignPerMinute: section.foreign ?? DEFAULT_QUOTA_POLICY.foreignPerMinute,
  };
}
