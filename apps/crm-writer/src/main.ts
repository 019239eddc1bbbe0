import { startCrmWriter } from './start-crm-writer.js';

await startCrmWriter();
