import type { Template } from 'liquidjs';
import { templateEngine } from '#accounts';
import { type Log, silentLog } from '#telemetry';
import type { Render } from './domain/render-fields.js';

/** Templates kept parsed; an account has about ten, and a changed policy brings new ones. */
const MAX_PARSED_TEMPLATES = 2_000;
/** Of a template that can't be rendered, so many characters are logged: it is the operator's text, not the customer's. */
const LOGGED_CHARS = 120;

/**
 * Renders Liquid within the bounds of #accounts' engine (no files, no inherited properties, limits on parsing, time and
 * memory). Each template is parsed once. One that fails gives null and is told in the log once, not for every event.
 */
export function liquidRender(log: Log = silentLog, onFailure: () => void = () => undefined): Render {
  const engine = templateEngine();
  const parsed = new Map<string, readonly Template[] | null>();
  const told = new Set<string>();

  const failed = (template: string, error: unknown): null => {
    onFailure();
    if (!told.has(template) && told.size < MAX_PARSED_TEMPLATES) {
      told.add(template);
      const reason = error instanceof Error ? error.name : 'unknown';
      log.warn('a template cannot be rendered; plain words are used instead', {
        code: 'template_failed',
        template: template.slice(0, LOGGED_CHARS),
        reason,
      });
    }
    return null;
  };

  const parse = (template: string): readonly Template[] | null => {
    const known = parsed.get(template);
    if (known !== undefined) return known;
    if (parsed.size >= MAX_PARSED_TEMPLATES) parsed.clear();
    let templates: readonly Template[] | null;
    try {
      templates = engine.parse(template);
    } catch (error) {
      templates = failed(template, error);
    }
    parsed.set(template, templates);
    return templates;
  };

  return (template, values) => {
    const templates = parse(template);
    if (templates === null) return null;
    try {
      return String(engine.renderSync(templates as Template[], values));
    } catch (error) {
      return failed(template, error);
    }
  };
}
