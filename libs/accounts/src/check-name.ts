import { isName } from '#contracts';
import type { Path, ProblemReport } from './problem-report.js';

const NAME_HINT = 'must be 1 to 32 lower-case letters, digits and dashes, beginning and ending with a letter or digit';

/** Reports a name that no account, integration or limit may have; `what` says of which it is. */
export function checkName(report: ProblemReport, path: Path, name: string, what: string): void {
  if (!isName(name)) report.addKey(path, `the name of ${what} ${NAME_HINT}`);
}
