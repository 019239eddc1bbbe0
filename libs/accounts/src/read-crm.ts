import { CRM_TYPES, type CrmConfig, type QuotaOnlyCrm, type ZendeskCrm } from '#contracts';
import { termsOf } from '#limits';
import type { Path, ProblemReport } from './problem-report.js';
import { CredentialSection, CrmSection, QuotaOnlyCrmSection } from './sections.js';

const DEFAULT_REQUEST_TIMEOUT_MS = 10_000;
/** Begins the message about whatever would only serve writing to a CRM that nothing is written to. */
export const ZENDESK_ONLY = 'Sluice writes tickets to Zendesk only';

/** An account's CRM, as the type that it names wants it. */
export function readCrm(report: ProblemReport, path: Path, value: unknown): CrmConfig | null {
  const plain = report.mapAt(path, value);
  if (!plain) return null;
  const { type } = plain;
  return CRM_TYPES.some((known) => known === type) && type !== 'zendesk'
    ? readQuotaOnlyCrm(report, path, plain)
    : readZendesk(report, path, plain);
}

function readZendesk(report: ProblemReport, path: Path, value: unknown): ZendeskCrm | null {
  const section = report.section(CrmSection, path, value);
  if (!section) return null;
  const at = [...path, 'credential'];
  const credential = report.section(CredentialSection, at, section.credential);
  if (!credential) return null;
  const { kind, email, tokenRef } = credential;
  if (kind === 'oauth' && email !== undefined)
    report.addKey([...at, 'email'], 'an oauth token needs no e-mail address; remove it, or say kind: apiToken');
  return {
    type: 'zendesk',
    baseUrl: section.baseUrl,
    licence: section.licence,
    credential: kind === 'apiToken' ? { kind, email: email ?? '', tokenRef } : { kind, tokenRef },
    externalIdPrefix: section.externalIdPrefix ?? 'ccai-',
    timeScale: section.timeScale ?? 1,
    requestTimeoutMs: section.requestTimeoutMs ?? DEFAULT_REQUEST_TIMEOUT_MS,
  };
}

/** A CRM that Sluice makes no calls to: what would only serve calls of its own is refused, not ignored. */
function readQuotaOnlyCrm(report: ProblemReport, path: Path, value: Record<string, unknown>): QuotaOnlyCrm | null {
  for (const key of ['baseUrl', 'credential', 'externalIdPrefix'])
    if (Object.hasOwn(value, key))
      report.addKey([...path, key], `${ZENDESK_ONLY} and makes no calls of its own here; remove ${key}`);
  const section = report.section(QuotaOnlyCrmSection, path, value);
  if (!section || section.type === 'zendesk') return null;
  const { type, licence, seats, timeZone } = section;
  const terms = termsOf(type, licence);
  for (const key of ['seats', 'timeZone'] as const)
    if (section[key] !== undefined && !terms.includes(key))
      report.addKey([...path, key], `changes no limit of licence ${licence}; remove it`);
  return {
    type,
    licence,
    timeScale: section.timeScale ?? 1,
    requestTimeoutMs: section.requestTimeoutMs ?? DEFAULT_REQUEST_TIMEOUT_MS,
    ...(seats === undefined ? {} : { seats }),
    ...(timeZone === undefined ? {} : { timeZone }),
  };
}
