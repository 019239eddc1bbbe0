export { jsonLogger, type JsonLogger, LOG_LEVELS, type LogLevel } from './json-logger.js';
export { type Log, type LogFields, silentLog } from './log.js';
export { CHECK_LIMIT_MS, type HealthCheck, HealthChecks, HealthModule, type HealthReport } from './health.js';
export { metrics } from './metrics.js';
export {
  type RunningService,
  SHUTDOWN_LIMIT_MS,
  type ServiceOptions,
  type ServiceTools,
  startService,
} from './start-service.js';
