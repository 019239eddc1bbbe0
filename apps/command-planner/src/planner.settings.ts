import { duration, httpSettings, integer, natsSettings, type SettingsOf, streamSettings } from '#settings';

/** Everything that the command planner can be told. */
export const plannerSettings = {
  ...httpSettings,
  ...natsSettings,
  ...streamSettings,
  planBatch: integer({ default: 200, min: 1, max: 1_000, doc: 'Most events planned together.' }),
  unknownAccountWait: duration({
    default: 10_000,
    minMs: 0,
    maxMs: 86_400_000,
    doc: 'How long events of an account that is not known (yet) are tried before they are put aside in DEAD_LETTERS. Others may wait for them.',
  }),
} as const;

export type PlannerSettings = SettingsOf<typeof plannerSettings>;
