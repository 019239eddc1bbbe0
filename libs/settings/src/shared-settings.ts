import { choice, integer, secretText, text } from './setting.js';

/** Every service answers health and metrics over HTTP; spread this into its spec (`startService` needs it). */
export const httpSettings = {
  httpHost: text({ default: '127.0.0.1', doc: 'Address on which HTTP is answered.' }),
  httpPort: integer({ default: 0, min: 0, max: 65_535, doc: 'Port for HTTP; 0 takes any free one.' }),
  logLevel: choice({
    default: 'info',
    of: ['debug', 'info', 'warn', 'error'],
    doc: 'Least severe log entries that are written.',
  }),
} as const;

/** How a service reaches NATS. */
export const natsSettings = {
  natsUrl: text({ default: 'nats://127.0.0.1:4222', doc: 'NATS servers, separated by commas.' }),
  natsUser: text({ default: '', doc: 'User name at NATS; empty = none.' }),
  natsPassword: secretText({ default: '', doc: 'Password at NATS.' }),
} as const;

/** How a service reaches its Postgres. A secret, as the URL holds a password. */
export const postgresSettings = {
  postgresUrl: secretText({ doc: 'Postgres, postgres://user:password@host:port/database.' }),
  postgresPoolSize: integer({ default: 10, min: 2, max: 200, doc: 'Most connections to Postgres held at once.' }),
} as const;

/** How the streams that a service owns are declared. */
export const streamSettings = {
  streamMaxBytes: integer({
    default: 1_073_741_824,
    min: 1_048_576,
    max: Number.MAX_SAFE_INTEGER,
    doc: 'Most bytes a stream holds; a full one refuses new messages.',
  }),
  streamMaxAgeDays: integer({ default: 30, min: 1, max: 3_650, doc: 'Days a message stays in its stream.' }),
  streamReplicas: integer({ default: 1, min: 1, max: 5, doc: 'NATS servers that keep a copy of each stream.' }),
} as const;
