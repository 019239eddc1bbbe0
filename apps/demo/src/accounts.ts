/** The one account of the demo. */
export const ACCOUNT = 'demo';
/** The integration that asks for quota beside Sluice's own writers. */
export const NEIGHBOUR = 'reporting';
/** The licence's minute lasts a tenth of a minute, everywhere: in the ledger, the writers and the simulated Zendesk. */
export const TIME_SCALE = 10;
export const EXTERNAL_ID_PREFIX = 'ccai-';
/** A small plan, so that the minute's limit is seen binding: 200 calls a minute (docs/zendesk.md). */
export const LICENCE = 'team';
/** Zendesk limits no day; this is the account's own choice. */
export const CALLS_PER_DAY = 2_500;
export const INGEST_USER = 'ccai';
export const CRM_EMAIL = 'sluice@example.com';
const REQUEST_TIMEOUT_MS = 3_000;

/** The demo's accounts.yaml: one account at the simulated Zendesk, with two integrations. */
export function demoAccounts(simulatorUrl: string): string {
  return `accounts:
  ${ACCOUNT}:
    crm:
      type: zendesk
      baseUrl: ${simulatorUrl}
      licence: ${LICENCE}
      timeScale: ${TIME_SCALE}
      requestTimeoutMs: ${REQUEST_TIMEOUT_MS}
      externalIdPrefix: '${EXTERNAL_ID_PREFIX}'
      credential: { kind: apiToken, email: ${CRM_EMAIL}, tokenRef: 'env:DEMO_CRM_TOKEN' }
    limits:
      day: { max: ${CALLS_PER_DAY} }
    integrations:
      ccai:
        ingest: { username: ${INGEST_USER}, passwordRef: 'env:DEMO_INGEST_PASSWORD' }
        trusted: true
      ${NEIGHBOUR}: {}
`;
}
