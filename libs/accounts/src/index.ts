export { parseAccounts, type ParsedAccounts, MAX_ACCOUNTS_FILE_LENGTH } from './parse-accounts.js';
export { type AccountProblem } from './problem-report.js';
export { DEFAULT_POLICY } from './default-policy.js';
export { templateEngine, TEMPLATE_VARIABLES, templateProblem } from './template.js';
export { canSyncAlways, natsServerConfig, type NatsServerSettings } from './nats-server-config.js';
export {
  integrationIdentity,
  type NatsUser,
  natsUsers,
  SERVICE_USERS,
  type ServiceUser,
  serviceIdentity,
} from './nats-users.js';
