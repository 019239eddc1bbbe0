import { Command, InvalidArgumentError } from 'commander';
import { LockSession } from '#postgres';
import { postgresSettings, readSettings } from '#settings';
import { audit, type AuditReport } from './audit.handler.js';
import { LEDGER_SCHEMA } from './postgres.ledger-store.js';
import { quotaLedgerSettings } from './quota-ledger.settings.js';

/*
 * Compares counted usage with the journal it comes from (docs/operations.md, "Audit"). Exit codes: 0 they agree, or were
 * made to; 1 they differ; 2 it could not be found out.
 */

const DAY_MS = 86_400_000;
const ANSWER_LIMIT_MS = 60_000;
const DIFFERENCES_SHOWN = 20;
const NOT_FOUND_OUT = 2;

interface Flags {
  readonly json?: boolean;
  readonly account?: string;
  readonly from?: number;
  readonly to?: number;
  readonly repair?: boolean;
}

const flags = new Command('audit')
  .description('Counts usage again from the journal, and compares it with what is stored.')
  .option('--json', 'end with one JSON object on standard output')
  .option('--account <name>', 'only this account')
  .option('--from <instant>', 'only minutes from here on, such as 2026-01-05T00:00:00Z', instant)
  .option('--to <instant>', 'only minutes that begin before', instant)
  .option('--repair', 'correct what is stored; the journal is never changed')
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : NOT_FOUND_OUT))
  .parse()
  .opts<Flags>();

try {
  const report = await run();
  process.stdout.write(flags.json ? `${JSON.stringify(report)}\n` : forPeople(report));
  process.exitCode = isWell(report) ? 0 : 1;
} catch (error) {
  say(`The audit could not be done: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = NOT_FOUND_OUT;
}

async function run(): Promise<AuditReport> {
  const { postgresUrl } = postgresSettings;
  const { keepMinutesDays } = quotaLedgerSettings;
  const settings = readSettings({ postgresUrl, keepMinutesDays });
  const session = await LockSession.open({
    url: settings.postgresUrl,
    schema: LEDGER_SCHEMA,
    applicationName: 'quota-ledger audit',
    name: 'quota-ledger audit',
    answerTimeoutMs: ANSWER_LIMIT_MS,
  });
  try {
    return await audit(session, {
      account: flags.account ?? null,
      fromMs: flags.from ?? null,
      toMs: flags.to ?? null,
      repair: flags.repair === true,
      keepMinutesMs: settings.keepMinutesDays * DAY_MS,
      say,
    });
  } finally {
    await session.close();
  }
}

function isWell({ ok, repaired, notRepaired }: AuditReport): boolean {
  return ok || (repaired > 0 && notRepaired.length === 0);
}

function forPeople({ turns, events, grants, accounts, differences, differencesFound, repaired }: AuditReport): string {
  const read = `${turns} turns, ${events} events, ${grants} grants, ${accounts} accounts`;
  const shown = differences.slice(0, DIFFERENCES_SHOWN).map((one) => `  ${JSON.stringify(one)}`);
  const verdict = differencesFound === 0 ? 'usage agrees with the journal' : `${differencesFound} differences`;
  return `${[`${read}: ${verdict}`, ...shown, ...(repaired > 0 ? [`${repaired} buckets corrected`] : [])].join('\n')}\n`;
}

function instant(text: string): number {
  const at = Date.parse(text);
  if (Number.isNaN(at)) throw new InvalidArgumentError('an instant, such as 2026-01-05T00:00:00Z');
  return at;
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
