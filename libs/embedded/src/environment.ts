/** What any process needs from its starter's environment, and nothing that could be taken for one of its settings. */
const INHERITED = [
  'PATH',
  'HOME',
  'USER',
  'LOGNAME',
  'SHELL',
  'TMPDIR',
  'TZ',
  'NODE_EXTRA_CA_CERTS',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
];

/**
 * The environment of a process started here: what is named, plus the machine's own basics. Everything else stays
 * behind, so that what happens to be set in a developer's shell never reaches a service as a setting.
 */
export function environmentWith(named: Readonly<Record<string, string>>): Record<string, string> {
  const inherited = INHERITED.flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return { ...Object.fromEntries(inherited), LC_ALL: 'C', ...named };
}

/** The starter's own value of one variable; null where it is unset or empty. */
export function ownEnvironment(name: 'NATS_SERVER' | 'PATH' | 'HOME'): string | null {
  return process.env[name] || null;
}
