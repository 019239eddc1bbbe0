import { startCommandPlanner } from './start-command-planner.js';

await startCommandPlanner();
