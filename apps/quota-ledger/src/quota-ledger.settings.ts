import {
  flag,
  httpSettings,
  integer,
  natsSettings,
  postgresSettings,
  type SettingsOf,
  streamSettings,
  text,
} from '#settings';

/** Everything that the quota ledger can be told. */
export const quotaLedgerSettings = {
  ...httpSettings,
  ...natsSettings,
  ...postgresSettings,
  ...streamSettings,
  accountsFile: text({
    default: '',
    doc: 'File of accounts that is applied whenever this process becomes the owner; empty = none.',
  }),
  accountsForce: flag({
    default: false,
    doc: 'The file of accounts also overwrites what an operator changed at run time.',
  }),
  keepGrantsDays: integer({
    default: 7,
    min: 2,
    max: 3_650,
    doc: 'Days a settled grant is remembered, for repeated requests and audits; longer where a limit is longer.',
  }),
  keepMinutesDays: integer({ default: 30, min: 2, max: 3_650, doc: 'Days that calls counted by the minute are kept.' }),
  keepDaysDays: integer({ default: 1_825, min: 31, max: 36_500, doc: 'Days that calls counted by the day are kept.' }),
  keepEventsDays: integer({ default: 400, min: 1, max: 36_500, doc: 'Days that told ledger events are kept.' }),
} as const;

export type QuotaLedgerSettings = SettingsOf<typeof quotaLedgerSettings>;
