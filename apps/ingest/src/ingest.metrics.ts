import { Counter, Histogram } from 'prom-client';
import { metrics } from '#telemetry';

/** Events by what became of them: `accepted`, `duplicate`, or a rejection's code. */
export const eventsTaken = new Counter({
  name: 'sluice_ingest_events_total',
  help: 'Interaction events by account, door and what became of them.',
  labelNames: ['account', 'door', 'outcome'],
  registers: [metrics],
});

/** Bodies answered with an error, by code. */
export const bodiesRefused = new Counter({
  name: 'sluice_ingest_refused_bodies_total',
  help: 'Bodies that were refused as a whole, by door and error code.',
  labelNames: ['door', 'code'],
  registers: [metrics],
});

/** From the arrival of a body to its being durable. */
export const takingSeconds = new Histogram({
  name: 'sluice_ingest_taking_seconds',
  help: 'Seconds from a body being read to all of its events being durable.',
  buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
  registers: [metrics],
});

/** Metadata files by what became of them. */
export const metadataFiles = new Counter({
  name: 'sluice_ingest_metadata_files_total',
  help: 'Metadata files by account and what became of them: taken, or bad.',
  labelNames: ['account', 'outcome'],
  registers: [metrics],
});
