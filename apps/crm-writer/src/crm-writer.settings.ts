import {
  duration,
  httpSettings,
  integer,
  natsSettings,
  postgresSettings,
  secretText,
  type SettingsOf,
  streamSettings,
} from '#settings';

/** Everything that the CRM writer can be told. */
export const crmWriterSettings = {
  ...httpSettings,
  ...natsSettings,
  ...postgresSettings,
  ...streamSettings,
  statusToken: secretText({
    default: '',
    doc: 'Bearer token for the writer’s status and interaction doors; empty = only callers on this machine are answered.',
  }),
  intakeBatch: integer({ default: 200, min: 1, max: 1_000, doc: 'Most commands taken in together.' }),
  maxCallsInFlight: integer({
    default: 16,
    min: 1,
    max: 200,
    doc: 'Most calls of one account to its CRM at once; each has a connection of its own.',
  }),
  maxSubmissionsInFlight: integer({
    default: 4,
    min: 1,
    max: 30,
    doc: 'Most bulk jobs of one account being submitted at once (not those running at the CRM).',
  }),
  keepSent: duration({
    default: 7 * 86_400_000,
    minMs: 60_000,
    doc: 'How long request bytes, answers and the text of commands are kept after they are done.',
  }),
} as const;

export type CrmWriterSettings = SettingsOf<typeof crmWriterSettings>;
