import { duration, httpSettings, integer, natsSettings, type SettingsOf, streamSettings } from '#settings';
import { folders } from './metadata.folders.js';

/** Everything that the ingest service can be told. */
export const ingestSettings = {
  ...httpSettings,
  ...natsSettings,
  ...streamSettings,
  maxBodyBytes: integer({
    default: 1_048_576,
    min: 1_024,
    max: 16_777_216,
    doc: 'Largest body (HTTP and NATS) and largest metadata file that is read.',
  }),
  maxEventsPerEnvelope: integer({
    default: 1_000,
    min: 1,
    max: 2_000,
    doc: 'Most events taken in one envelope; larger ones are answered 413.',
  }),
  duplicateWindow: duration({
    default: 30 * 60_000,
    minMs: 1_000,
    maxMs: 86_400_000,
    doc: 'How long an event sent again is told to be a duplicate at the door; later ones are recognised by the writer.',
  }),
  metadataFolders: folders({
    doc: 'Folders with session metadata files, `account=/path` separated by commas; empty = none.',
  }),
  metadataPoll: duration({
    default: 10_000,
    minMs: 100,
    maxMs: 3_600_000,
    doc: 'How often the folders of metadata files are looked through.',
  }),
} as const;

export type IngestSettings = SettingsOf<typeof ingestSettings>;
