/** What the demo found out; the lists name each finding. */
export interface DemoReport {
  readonly interactions: number;
  /** Taken by ingest, duplicates and rejected ones not counted. */
  readonly events: number;
  readonly duplicates: number;
  readonly rejected: number;
  readonly commands: number;
  readonly tickets: number;
  /** By the CRM's own count, of all integrations. */
  readonly callsUsed: number;
  readonly callsByIntegration: Readonly<Record<string, number>>;
  /** Compared with one call for each command. */
  readonly callsSaved: number;
  readonly neighbourRefusals: number;
  readonly minutesAtLimit: number;
  readonly longestWaitMs: number;
  readonly refused429: number;
  readonly lost: readonly string[];
  readonly doubled: readonly string[];
  readonly strangers: readonly string[];
  /** Sluice's own account of it equals the CRM's. */
  readonly booksAgree: boolean;
  readonly audit: { readonly ok: boolean };
  readonly durationMs: number;
}

/** True when nothing was lost, doubled or refused, and the books agree. */
export function isClean(report: DemoReport): boolean {
  const { lost, doubled, strangers, rejected, refused429, booksAgree } = report;
  return lost.length + doubled.length + strangers.length + rejected + refused429 === 0 && booksAgree;
}

/** For programs: one flat object, findings as numbers. */
export function reportForPrograms(report: DemoReport): Record<string, number | boolean> {
  return {
    interactions: report.interactions,
    events: report.events,
    commands: report.commands,
    tickets: report.tickets,
    callsUsed: report.callsUsed,
    callsSaved: report.callsSaved,
    minutesAtLimit: report.minutesAtLimit,
    refused429: report.refused429,
    lost: report.lost.length,
    doubled: report.doubled.length + report.strangers.length,
    booksAgree: report.booksAgree,
    longestWaitMs: report.longestWaitMs,
    durationMs: report.durationMs,
  };
}

const FINDINGS_SHOWN_LIMIT = 20;

/** For people: what happened, and whether the CRM's books agree. */
export function reportForPeople(report: DemoReport): string {
  const calls = Object.entries(report.callsByIntegration).map(([name, count]) => `${name} ${count}`);
  const findings = [...report.lost.map((what) => `lost: ${what}`), ...report.doubled, ...report.strangers];
  return [
    '',
    `  interactions        ${report.interactions} in ${report.events} events (${report.duplicates} duplicates recognised, ${report.rejected} rejected)`,
    `  tickets             ${report.tickets}, by ${report.commands} commands`,
    `  calls used          ${report.callsUsed} (${calls.join(', ')})`,
    `  calls saved         ${report.callsSaved} by merging and bulk jobs, compared with a call for each command`,
    `  minutes at limit    ${report.minutesAtLimit} of the licence's minutes were used to the last call`,
    `  longest wait        ${(report.longestWaitMs / 1000).toFixed(1)} s from event to effect, the CRM's outage included`,
    `  the neighbour       was told to wait ${report.neighbourRefusals} times, and never refused by the CRM`,
    `  refused by the CRM  ${report.refused429}`,
    `  lost                ${report.lost.length}`,
    `  doubled             ${report.doubled.length + report.strangers.length}`,
    `  the CRM's own books ${report.booksAgree ? 'agree' : 'DO NOT AGREE'}`,
    ...findings.slice(0, FINDINGS_SHOWN_LIMIT).map((finding) => `    ! ${finding}`),
    ...(report.booksAgree ? [] : [`    ! ${JSON.stringify(report.audit)}`]),
    '',
  ].join('\n');
}
