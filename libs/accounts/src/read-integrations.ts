import { type IntegrationConfig, WRITER_INTEGRATION } from '#contracts';
import type { LimitSet } from '#limits';
import { checkName } from './check-name.js';
import type { Path, ProblemReport } from './problem-report.js';
import { ZENDESK_ONLY } from './read-crm.js';
import { checkShares, readShare } from './read-shares.js';
import { IngestSection, IntegrationQuotaSection, IntegrationSection } from './sections.js';

/** What decides how an account's integrations are read. */
interface IntegrationTerms {
  /** True where Sluice writes to the account's CRM. */
  readonly written: boolean;
  /** Null where the limits are wrong themselves. */
  readonly inForce: LimitSet | null;
}

/** Who uses an account's calls, and what each may have of them. */
export function readIntegrations(
  report: ProblemReport,
  path: Path,
  value: unknown,
  terms: IntegrationTerms,
): Record<string, IntegrationConfig> | null {
  const entries = report.mapAt(path, value);
  if (!entries) return null;
  const names = Object.keys(entries);
  if (terms.written && !names.includes(WRITER_INTEGRATION))
    report.add(
      path,
      `${WRITER_INTEGRATION} is missing: Sluice's own calls are counted as its; add '${WRITER_INTEGRATION}: {}'`,
    );
  else if (names.length === 0) report.add(path, 'is empty; name at least one that uses the calls');
  const before = report.problems.length;
  const read = names.map(
    (name) => [name, readIntegration(report, [...path, name], name, entries[name], terms)] as const,
  );
  if (read.some(([, integration]) => integration === null)) return null;
  const integrations = Object.fromEntries(read) as Record<string, IntegrationConfig>;
  if (terms.inForce && report.problems.length === before) checkShares(report, path, integrations, terms.inForce);
  return integrations;
}

function readIntegration(
  report: ProblemReport,
  path: Path,
  name: string,
  value: unknown,
  { written, inForce }: IntegrationTerms,
): IntegrationConfig | null {
  checkName(report, path, name, 'an integration');
  const section = report.section(IntegrationSection, path, value ?? {});
  if (!section) return null;
  const within = <T extends object>(of: new () => T, key: 'ingest' | 'quota'): T | null | undefined =>
    (section[key] ?? null) === null ? undefined : report.section(of, [...path, key], section[key]);
  const ingest = within(IngestSection, 'ingest');
  const quota = within(IntegrationQuotaSection, 'quota');
  const share = readShare(report, [...path, 'share'], section.share, inForce);
  if (ingest && !written)
    report.addKey([...path, 'ingest'], `${ZENDESK_ONLY}; remove ingest: nothing would come of its events`);
  if (ingest === null || quota === null || !share) return null;
  return {
    ingest: ingest ? { username: ingest.username, passwordRef: ingest.passwordRef } : null,
    trusted: section.trusted ?? (written && name === WRITER_INTEGRATION),
    share,
    quotaPasswordRef: quota?.passwordRef ?? null,
  };
}
