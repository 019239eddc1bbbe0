import { Liquid, type Template } from 'liquidjs';
import { nearestName } from './nearest-name.js';

/** Longest template accepted, in characters. */
export const MAX_TEMPLATE_LENGTH = 20_000;

/** What a ticket's templates may name. Everything may be empty: a template must read well without it. */
export const TEMPLATE_VARIABLES: Readonly<Record<string, readonly string[]>> = {
  /** `channel` is `call` or `chat`. */
  interaction: ['id', 'channel', 'sessionId'],
  contact: ['phone', 'name', 'email', 'userId'],
  agent: ['name', 'email'],
  queue: [],
  /** ISO instants. */
  times: ['startedAt', 'connectedAt', 'endedAt'],
  durations: ['waitSeconds', 'callSeconds', 'holdSeconds'],
  recordingUrl: [],
  transcriptUrl: [],
  rating: [],
  feedback: [],
  voicemail: [],
  abandoned: [],
  /** A list of these. */
  dispositions: ['code', 'customCodeId', 'note'],
  /** The name of the event that the template is rendered for (`ended`). */
  event: [],
};

const LIST_PROPERTIES = ['size', 'first', 'last'];
/** Tags that would read other files. */
const FILE_TAGS = ['include', 'render', 'layout', 'block'];

/**
 * The one engine by which templates are checked here and rendered by the planner: no files, no inherited properties, no
 * unknown filters, and bounds on what a template may cost.
 */
export function templateEngine(): Liquid {
  const engine = new Liquid({
    strictFilters: true,
    ownPropertyOnly: true,
    templates: {},
    parseLimit: MAX_TEMPLATE_LENGTH,
    renderLimit: 250,
    memoryLimit: 1_000_000,
  });
  for (const tag of FILE_TAGS) delete engine.tags[tag];
  return engine;
}

const engine = templateEngine();

/** What is wrong with a template, in words; null where nothing is. */
export function templateProblem(text: string): string | null {
  if (text.length > MAX_TEMPLATE_LENGTH) return `the template is longer than ${MAX_TEMPLATE_LENGTH} characters`;
  let parsed: Template[];
  try {
    parsed = engine.parse(text);
  } catch (error) {
    return `the template isn't valid Liquid: ${error instanceof Error ? error.message : String(error)}`;
  }
  for (const [root, ...rest] of engine.globalVariableSegmentsSync(parsed)) {
    const problem = variableProblem(String(root), rest);
    if (problem) return problem;
  }
  return null;
}

function variableProblem(root: string, rest: readonly unknown[]): string | null {
  const properties = Object.hasOwn(TEMPLATE_VARIABLES, root) ? TEMPLATE_VARIABLES[root]! : null;
  if (!properties) return unknown(root, Object.keys(TEMPLATE_VARIABLES));
  const property = rest.find((segment) => typeof segment === 'string');
  if (property === undefined || properties.includes(property)) return null;
  if (root === 'dispositions' && LIST_PROPERTIES.includes(property)) return null;
  return unknown(
    `${root}.${property}`,
    properties.map((name) => `${root}.${name}`),
  );
}

function unknown(name: string, known: readonly string[]): string {
  const near = nearestName(name, known);
  const choice = known.length > 0 ? ` Known: ${known.join(', ')}` : ' It has no parts.';
  return `the template names ${name}, which no event has${near ? `; did you mean ${near}?` : '.'}${choice}`;
}
