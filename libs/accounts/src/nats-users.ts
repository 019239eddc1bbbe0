import {
  type AccountConfig,
  ACCOUNTS_BUCKET,
  type AccountName,
  type IntegrationConfig,
  type IntegrationName,
  QUOTA_VERBS,
  STREAMS,
  type StreamName,
  subjects,
  WRITER_INTEGRATION,
} from '#contracts';

/** Sluice's own NATS users: one for each service, and `operator` for people and their tools. */
export const SERVICE_USERS = ['ingest', 'command-planner', 'quota-ledger', 'crm-writer', 'operator'] as const;
export type ServiceUser = (typeof SERVICE_USERS)[number];

/** A NATS user as the server must know it; without its password, which is made where the server is configured. */
export interface NatsUser {
  readonly user: string;
  /** What its client must be told: answers come to `<inboxPrefix>.…`, and nobody else may listen there. */
  readonly inboxPrefix: string;
  /** Everything it may publish and subscribe; all else is refused by the server. */
  readonly permissions: { readonly publish: readonly string[]; readonly subscribe: readonly string[] };
}

const KV_STREAM = `KV_${ACCOUNTS_BUCKET}`;
/**
 * Where answers go. A service with a door may publish there *besides* what its own work needs: that a false reply subject
 * doesn't turn the latter against others is the doors' doing (`NatsDoors` in #jetstream answers to inboxes only).
 */
const EVERY_INBOX = ['_INBOX.>', '_SVC.>'];

/** Every NATS user there is for these accounts: Sluice's services, then each account's integrations. */
export function natsUsers(accounts: readonly AccountConfig[]): NatsUser[] {
  const integrations = accounts.flatMap(({ name, integrations }) =>
    Object.entries(integrations).map(([integration, config]) => integrationUser(name, integration, config)),
  );
  return [...SERVICE_USERS.map(serviceUser), ...integrations];
}

/** The NATS user name and inbox prefix of an integration. */
export function integrationIdentity(
  account: AccountName,
  integration: IntegrationName,
): { readonly user: string; readonly inboxPrefix: string } {
  const user = `${account}.${integration}`;
  return { user, inboxPrefix: `_INBOX.${user}` };
}

/** The NATS user name and inbox prefix of one of Sluice's services. */
export function serviceIdentity(service: ServiceUser): { readonly user: string; readonly inboxPrefix: string } {
  return { user: service, inboxPrefix: `_SVC.${service}` };
}

/** It asks only as itself, and hears only its own answers: no stream, no other integration, no other account. */
function integrationUser(account: AccountName, integration: IntegrationName, config: IntegrationConfig): NatsUser {
  const { user, inboxPrefix } = integrationIdentity(account, integration);
  const quota = QUOTA_VERBS.map((verb) => subjects.quota(account, integration, verb));
  const ingest = config.ingest === null ? [] : [`ingest.v1.${account}.${integration}.>`];
  return {
    user,
    inboxPrefix,
    permissions: {
      publish: [...quota, subjects.usage(account), subjects.forecast(account), ...ingest],
      subscribe: [`${inboxPrefix}.>`],
    },
  };
}

interface ServiceNeeds {
  readonly publish: readonly string[];
  /** Doors: what others send it, which it answers. */
  readonly answers: readonly string[];
  readonly declares: readonly StreamName[];
  readonly consumes: readonly StreamName[];
}

const EVERY_STREAM = Object.keys(STREAMS) as StreamName[];

const SERVICE_NEEDS: Readonly<Record<ServiceUser, ServiceNeeds>> = {
  ingest: {
    publish: STREAMS.INTERACTIONS.subjects,
    answers: ['ingest.v1.>'],
    declares: ['INTERACTIONS'],
    consumes: [],
  },
  'command-planner': {
    publish: STREAMS.COMMANDS.subjects,
    answers: [],
    declares: ['COMMANDS', 'DEAD_LETTERS'],
    consumes: ['INTERACTIONS'],
  },
  'quota-ledger': {
    // It asks itself what came in over HTTP: whichever process owns the ledger answers.
    publish: [...STREAMS.LEDGER.subjects, `$KV.${ACCOUNTS_BUCKET}.>`, 'quota.v1.>'],
    answers: ['quota.v1.>', 'accounts.v1.>'],
    declares: ['LEDGER'],
    consumes: [],
  },
  'crm-writer': {
    publish: [...STREAMS.OUTCOMES.subjects, `quota.v1.*.${WRITER_INTEGRATION}.>`],
    answers: [],
    declares: ['OUTCOMES', 'DEAD_LETTERS'],
    consumes: ['COMMANDS'],
  },
  operator: {
    // Places whose holder is gone come free only by somebody's word.
    publish: ['accounts.v1.>', 'quota.v1.*.usage', 'quota.v1.*.forecast', 'quota.v1.*.*.release'],
    answers: [],
    declares: [],
    consumes: EVERY_STREAM,
  },
};

function serviceUser(service: ServiceUser): NatsUser {
  const { user, inboxPrefix } = serviceIdentity(service);
  const needs = SERVICE_NEEDS[service];
  const deadLetters =
    service === 'operator' || needs.consumes.length === 0
      ? []
      : [subjects.deadLetter(service), `${subjects.deadLetter(service)}.>`];
  return {
    user,
    inboxPrefix,
    permissions: {
      publish: [
        ...needs.publish,
        ...deadLetters,
        ...(needs.answers.length > 0 ? EVERY_INBOX : []),
        '$JS.API.INFO',
        ...needs.declares.flatMap(toDeclare),
        ...(service === 'quota-ledger' ? toDeclare(KV_STREAM) : []),
        ...needs.consumes.flatMap(toRead),
        ...toRead(KV_STREAM),
        ...(service === 'operator' ? ['$JS.API.STREAM.NAMES', '$JS.API.STREAM.LIST'] : []),
      ],
      subscribe: [`${inboxPrefix}.>`, ...needs.answers],
    },
  };
}

function toDeclare(stream: string): string[] {
  return ['INFO', 'CREATE', 'UPDATE'].map((verb) => `$JS.API.STREAM.${verb}.${stream}`);
}

/** To consume a stream (durably or not), to look single messages up, and to acknowledge. */
function toRead(stream: string): string[] {
  return [
    `$JS.API.STREAM.INFO.${stream}`,
    `$JS.API.STREAM.MSG.GET.${stream}`,
    `$JS.API.DIRECT.GET.${stream}`,
    `$JS.API.DIRECT.GET.${stream}.>`,
    `$JS.API.CONSUMER.CREATE.${stream}`,
    `$JS.API.CONSUMER.CREATE.${stream}.>`,
    ...['DURABLE.CREATE', 'INFO', 'MSG.NEXT', 'DELETE'].map((verb) => `$JS.API.CONSUMER.${verb}.${stream}.>`),
    `$JS.API.CONSUMER.NAMES.${stream}`,
    `$JS.API.CONSUMER.LIST.${stream}`,
    `$JS.ACK.${stream}.>`,
    `$JS.FC.${stream}.>`,
  ];
}
