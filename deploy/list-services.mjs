/* What the image says when it is started without a command. */
import { existsSync, readdirSync } from 'node:fs';

const services = readdirSync('dist/apps').filter((name) => existsSync(`dist/apps/${name}/src/main.js`));
console.log('Name a service as the command, for example: node dist/apps/ingest/src/main.js');
console.log(`Services: ${services.join(', ')}`);
