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
  keepMinutesDays: integer({ default: 30, min: 2, max: 3_650, doc: 'Days that calls counted by the minute are kept.' }),
  keepDaysDays: integer({
    default: 1_825,
    min: 31,
    max: 36_500,
    doc: 'Days that calls counted by the hour and by the day are kept.',
  }),
  keepJournalDays: integer({
    default: 400,
    min: 1,
    max: 36_500,
    doc: 'Days that the journal of all decisions is kept: from it usage can be built again and audited.',
  }),
} as const;

export type QuotaLedgerSettings = SettingsOf<typeof quotaLedgerSettings>;
