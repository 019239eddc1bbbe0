import { envNameOf, readSettings, text } from '#settings';

const ofTheMachine = (doc: string) => text({ default: '', doc });

/** What any process needs from its starter's environment, and nothing that could be taken for one of its settings. */
const INHERITED = {
  path: ofTheMachine('Where programs are found.'),
  home: ofTheMachine("The user's own folder."),
  user: ofTheMachine('Who we are.'),
  logname: ofTheMachine('Who we are, by its other name.'),
  tmpdir: ofTheMachine('Where temporary files go.'),
  tz: ofTheMachine('The time zone of log lines by other programs.'),
  nodeExtraCaCerts: ofTheMachine('Certificate authorities beside the well-known ones, for Node.'),
  sslCertFile: ofTheMachine('Certificate authorities, for other programs.'),
  sslCertDir: ofTheMachine('Certificate authorities, for other programs.'),
} as const;

const OWN = {
  natsServer: text({
    default: '',
    doc: 'The nats-server program that the demo and the tests use; empty = search for it.',
  }),
  path: INHERITED.path,
  home: INHERITED.home,
} as const;

/**
 * The environment of a process started here: what is named, plus the machine's own basics. Everything else stays
 * behind, so that what happens to be set in a developer's shell never reaches a service as a setting.
 */
export function environmentWith(named: Readonly<Record<string, string>>): Record<string, string> {
  const inherited = Object.entries(readSettings(INHERITED))
    .filter(([, value]) => value !== '')
    .map(([property, value]) => [envNameOf(property), value]);
  return { ...Object.fromEntries(inherited), LC_ALL: 'C', ...named };
}

/** What the starter itself is told; empty where it isn't. */
export function ownEnvironment(): { readonly natsServer: string; readonly path: string; readonly home: string } {
  return readSettings(OWN);
}
