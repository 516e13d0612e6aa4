/** What engines say when something fails, in words for a person. */
import { BackupError } from '../errors.ts';

export type Reason =
  | 'missing-engine'
  | 'too-old'
  | 'password'
  | 'no-repository'
  | 'locked'
  | 'full'
  | 'damaged'
  | 'denied'
  | 'clock'
  | 'config'
  | 'certificate'
  | 'machine'
  | 'overloaded'
  | 'unreachable'
  | 'not-sent'
  | 'busy'
  | 'not-there'
  | 'not-understood'
  | 'failed';

/** Older versions of restic end with 1 whatever happened, so their words decide. The first that fits counts. */
const signs: readonly [Reason, RegExp][] = [
  ['clock', /RequestTimeTooSkewed|difference between the request time|clock skew/i],
  ['full', /no space left|insufficient storage|quota|\b507\b|disk full|ENOSPC/i],
  [
    'certificate',
    /x509|certificate (?:has|is|signed|verif|required|relies)|unknown authority|self[- ]signed certificate|tls: failed to verify/i,
  ],
  [
    'unreachable',
    /dial tcp|connection refused|no such host|i\/o timeout|network is unreachable|connection reset|unexpected EOF|: EOF|handshake timeout|no route to host|broken pipe|name resolution|connection closed|connection timed out|could not resolve|server misbehaving|\b50[234]\b|subprocess ssh exited|connection lost|deadline exceeded/i,
  ],
  // Whatever else failed: these bytes were read, and they are wrong.
  ['damaged', /ciphertext verification failed/i],
  [
    'overloaded',
    /\b(?:429|5\d\d):? (?:too many|internal|service|bad gateway|gateway)|http[^\n]{0,24}\b(?:429|5\d\d)\b|\b(?:error|code|response|status)\W{0,3}(?:429|5\d\d)\b|too ?many ?requests|slow ?down|rate ?limit|internal ?(?:server ?)?error|service_?unavailable/i,
  ],
  [
    'machine',
    /input\/output error|too many open files|cannot allocate memory|out of memory|stale (?:nfs )?file handle|\bE(?:IO|MFILE|NFILE|NOMEM|STALE)\b/i,
  ],
  [
    'password',
    /wrong password|no key found|password is empty|empty password|couldn't decrypt config/i,
  ],
  ['locked', /already locked|unable to create lock/i],
  [
    'denied',
    /permission denied|access ?denied|forbidden|unauthorized|\b40[13]\b|host key verification|unable to authenticate|InvalidAccessKey|SignatureDoesNotMatch/i,
  ],
  [
    'damaged',
    /ciphertext verification failed|hash mismatch|invalid data|does not match|not found in repository|load\(<?\w+[^\n]*(?:no such file|does not exist|not found|NoSuchKey)|corrupt|wrong length|unable to load|invalid id|failed: .*pack|checksum/i,
  ],
  [
    'config',
    /didn't find section in config|config file .* not found|unknown (backend|provider)|invalid backend/i,
  ],
  ['no-repository', /unable to open config file|is there a repository/i],
];

/** restic 0.17 and later. */
const resticCodes: Readonly<Record<number, Reason>> = {
  10: 'no-repository',
  11: 'locked',
  12: 'password',
};

/** They say that the repository was not seen, whatever the code says of it. */
const unseen: readonly Reason[] = ['certificate', 'unreachable', 'overloaded', 'machine'];

export function reasonOf(engine: string, code: number | null, output: string): Reason {
  const byCode = engine === 'restic' && code !== null ? resticCodes[code] : undefined;
  const bySigns = signs.find(([, sign]) => sign.test(output))?.[0] ?? 'failed';
  if (byCode === undefined || (byCode === 'no-repository' && unseen.includes(bySigns)))
    return bySigns;
  return byCode;
}

/** It passes without a person: what waits is sent the next time. */
export function isPassing(reason: string | undefined): boolean {
  return reason === 'unreachable' || reason === 'overloaded';
}

export interface Where {
  /** Of the destination. */
  name: string;
  engine: string;
}

export function trouble(reason: Reason, { name, engine }: Where, detail = ''): BackupError {
  const [message, hint] = wordsOf(reason, name, engine, detail);
  return new BackupError('offsite', message, {
    hint,
    facts: { reason, name, engine },
    ...(detail !== '' && { cause: new Error(detail) }),
  });
}

function wordsOf(reason: Reason, name: string, engine: string, detail: string): [string, string] {
  switch (reason) {
    case 'missing-engine':
      return [`${engine} is not installed, and ${name} needs it.`, installHint(engine)];
    case 'too-old':
      return [`This version of ${engine} is too old: ${detail}.`, installHint(engine)];
    case 'password':
      return [
        `The password of ${name} is missing or wrong.`,
        'Set the password again. Without it, these copies cannot be read.',
      ];
    case 'no-repository':
      return [
        `${name} has no restic repository yet.`,
        'Check the address, or create the repository: sqlite-backup offsite setup … --create',
      ];
    case 'locked':
      return [
        `Another process of ${engine} has locked ${name}.`,
        'Wait until it has finished. After a crash, `restic unlock` removes locks that no process holds.',
      ];
    case 'full':
      return [
        `${name} is full. What was there before is intact.`,
        'Free some space there, or remove old copies, then send again.',
      ];
    case 'damaged':
      return [`${name} returns damaged data. This copy is not proved.`, damagedHint(engine)];
    case 'denied':
      return [`${name} denies access.`, 'Check the account, its key and its rights.'];
    case 'clock':
      return [
        `${name} refuses the request because a clock is wrong.`,
        'Set the clock of this machine.',
      ];
    case 'config':
      return [
        `${engine} does not know the remote of ${name}.`,
        'Set the remote up with `rclone config`, or check its name.',
      ];
    case 'certificate':
      return [
        `The certificate of ${name} is not accepted, so nothing was read or sent.`,
        'Check the address, the clock of this machine, and the certificate of the place. For a certificate authority of your own, set SSL_CERT_FILE to its file.',
      ];
    case 'machine':
      return [
        `${engine} could not read or write what it needs for ${name}: ${lastLine(detail, reason)}. This says nothing about the copies.`,
        'Check the disks, the memory and the limit of open files of this machine, then try again.',
      ];
    case 'overloaded':
      return [
        `${name} takes no requests at the moment. Nothing is lost.`,
        'Try again later. If this continues, ask the service or look at the log of its server.',
      ];
    case 'unreachable':
      return [`${name} cannot be reached. Nothing is lost.`, 'Check the network, then try again.'];
    case 'not-sent':
      return [
        `Not sent yet: ${name} cannot be reached. Nothing is lost.`,
        'The next run sends it. If this continues, check the network.',
      ];
    case 'busy':
      return [
        `Another process is using ${name} at the moment.`,
        'Wait until it has finished, then try again.',
      ];
    case 'not-there':
      return [
        `${name} has no such copy: ${detail}.`,
        'List what is there: sqlite-backup offsite list',
      ];
    case 'not-understood':
      return [
        `${engine} answered something for ${name} that SQLite Backup does not understand: ${detail}`,
        `This says nothing about the copies. Run \`${engine} version\`: another program of that name, or a newer version, may answer differently.`,
      ];
    case 'failed':
      return [`${engine} failed for ${name}: ${lastLine(detail)}.`, 'The log has the details.'];
  }
}

function damagedHint(engine: string): string {
  return engine === 'restic'
    ? 'Run `restic check --read-data`, and send again to another repository.'
    : 'Send again: a backup that is still here replaces its copy. `rclone hashsum SHA256 --download` shows the copies that differ from the names of their folders.';
}

/** The engine's own words, without what could be a secret in an address. */
function lastLine(text: string, reason?: Reason): string {
  const lines = text.trim().split('\n');
  const sign = signs.find(([one]) => one === reason)?.[1];
  const line = lines.findLast((one) => sign?.test(one)) ?? lines.at(-1) ?? '';
  return line.slice(0, 300).replace(/\.$/, '') || 'it gave no reason';
}

export function installHint(engine: string): string {
  if (process.platform === 'win32')
    return `Install it: winget install ${engine === 'restic' ? 'restic.restic' : 'Rclone.Rclone'}`;
  if (process.platform === 'darwin') return `Install it: brew install ${engine}`;
  return `Install it: sudo apt install ${engine} (or the package manager of your system)`;
}
