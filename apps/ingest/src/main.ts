import { startIngest } from './start-ingest.js';

await startIngest();
