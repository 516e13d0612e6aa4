/** Every way an operation can fail, as a stable word that people, scripts and translations can rely on. */
export const errorCodes = [
  'source-missing',
  'source-busy',
  'not-a-database',
  'encrypted-or-not-sqlite',
  'corrupt',
  'hot-journal',
  'read-only-media',
  'source-fs-full',
  'target-full',
  'access',
  'feature-missing',
  'incomplete',
  'name-taken',
  'bad-name',
  'worker-died',
  'cancelled',
  'deadline',
  'newer-format',
  'backup-damaged',
  'not-proved',
  'target-in-use',
  'too-large',
  'bad-setting',
  'offsite',
  'io-error',
  'internal',
] as const;

export type ErrorCode = (typeof errorCodes)[number];

/** Facts that a message is made of, so that another face can say the same in its own words. */
export type ErrorFacts = Readonly<Record<string, string | number | boolean>>;

interface BackupErrorOptions {
  path?: string;
  hint?: string;
  facts?: ErrorFacts;
  cause?: unknown;
}

/** A failure fit for a person: what happened (`message`), where (`path`), what to do next (`hint`). */
export class BackupError extends Error {
  override readonly name = 'BackupError';
  readonly code: ErrorCode;
  readonly path?: string;
  readonly hint?: string;
  readonly facts?: ErrorFacts;

  constructor(code: ErrorCode, message: string, options: BackupErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    if (options.path !== undefined) this.path = options.path;
    if (options.hint !== undefined) this.hint = options.hint;
    if (options.facts !== undefined) this.facts = options.facts;
  }
}

/** Guards by name and code, not by class: an error that crossed a process is as good as a local one. */
export function isBackupError(error: unknown): error is BackupError {
  return (
    error instanceof Error &&
    error.name === 'BackupError' &&
    isErrorCode(Reflect.get(error, 'code'))
  );
}

function isErrorCode(value: unknown): value is ErrorCode {
  return (errorCodes as readonly unknown[]).includes(value);
}

/** The form of an error that survives JSON. */
export interface PlainError {
  code: ErrorCode;
  message: string;
  path?: string;
  hint?: string;
  facts?: ErrorFacts;
  /** Technical detail for the log, never for a notification. */
  detail?: string;
}

export function toPlainError(error: unknown): PlainError {
  const known = isBackupError(error) ? error : unexpected(error);
  const detail =
    known.cause instanceof Error ? (known.cause.stack ?? known.cause.message) : undefined;
  return {
    code: known.code,
    message: known.message,
    ...(known.path !== undefined && { path: known.path }),
    ...(known.hint !== undefined && { hint: known.hint }),
    ...(known.facts !== undefined && { facts: known.facts }),
    ...(detail !== undefined && { detail }),
  };
}

export function fromPlainError(plain: PlainError): BackupError {
  return new BackupError(plain.code, plain.message, {
    ...plain,
    ...(plain.detail !== undefined && { cause: new Error(plain.detail) }),
  });
}

function unexpected(error: unknown): BackupError {
  const text = error instanceof Error ? error.message : String(error);
  return new BackupError('internal', `Internal error in SQLite Backup: ${text}`, {
    hint: 'The log has the details.',
    cause: error,
  });
}

/** On whose side a failed call was: the database being read, or the place being written. */
export type Side = 'source' | 'target';

/**
 * The one place where errors of the system and of SQLite become ours. An error that already is one passes unchanged.
 * `path` is the file a person knows, not the temporary one that the call happened on.
 */
export function explain(error: unknown, side: Side, path: string): BackupError {
  if (isBackupError(error)) return error;
  if (!(error instanceof Error)) return unexpected(error);
  const code: unknown = Reflect.get(error, 'code');
  if (typeof code !== 'string') return unexpected(error);
  const meaning = code.startsWith('SQLITE_')
    ? sqliteMeaning(code, side)
    : systemMeaning(code, side);
  if (meaning === undefined) {
    return code.startsWith('SQLITE_') || Reflect.has(error, 'syscall')
      ? new BackupError('io-error', `${path}: ${error.message}.`, {
          path,
          hint: 'The log has the details. Check the disk and try again.',
          facts: { reason: code },
          cause: error,
        })
      : unexpected(error);
  }
  const [ours, message, hint] = meaning;
  return new BackupError(ours, message(path), {
    path,
    hint,
    facts: { reason: code },
    cause: error,
  });
}

/** The message is whole, and translatable, once it has the path. */
type Meaning = [code: ErrorCode, message: (path: string) => string, hint: string];

const locked: Meaning = [
  'source-busy',
  (path) => `${path} is locked by another program.`,
  'Close its transaction and try again.',
];

function sqliteMeaning(code: string, side: Side): Meaning | undefined {
  const source = side === 'source';
  switch (code) {
    case 'SQLITE_READONLY_ROLLBACK':
    case 'SQLITE_BUSY_RECOVERY':
      return code === 'SQLITE_BUSY_RECOVERY'
        ? locked
        : [
            'hot-journal',
            (path) =>
              `${path} was interrupted in the middle of a transaction: its journal has to be rolled back first.`,
            'Open it once with the program that wrote it, which repairs it, then back up again.',
          ];
    case 'SQLITE_READONLY_CANTINIT':
    case 'SQLITE_READONLY_DIRECTORY':
      return [
        'read-only-media',
        (path) =>
          `${path} is in WAL mode in a folder that cannot be written, so SQLite cannot read it there.`,
        'Copy the database together with its -wal file to a writable folder and back up that.',
      ];
    case 'SQLITE_AUTH':
    case 'SQLITE_PERM':
      return [
        'access',
        (path) => `${path} cannot be read: permission denied.`,
        'Give yourself access and try again.',
      ];
    case 'SQLITE_FULL':
      return source
        ? [
            'source-fs-full',
            (path) =>
              `${path} cannot be read in WAL mode: its disk has no room for the small -shm file.`,
            'Free some space on the disk of the database and try again.',
          ]
        : [
            'target-full',
            (path) => `${path} has no space left.`,
            'Free some space or choose another folder.',
          ];
    case 'SQLITE_TOOBIG':
      return [
        'too-large',
        (path) => `${path} is larger than SQLite can handle.`,
        'Back it up with its own tools.',
      ];
    case 'SQLITE_CANTOPEN':
    case 'SQLITE_CANTOPEN_ISDIR':
      return [
        'access',
        (path) => `${path} cannot be opened.`,
        'Check that the file and its folder can be read.',
      ];
    default:
  }
  if (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED')) return locked;
  // A connection that may write is recovering its WAL: a moment later it can be read.
  if (code === 'SQLITE_READONLY_RECOVERY') return locked;
  if (code === 'SQLITE_NOTADB') {
    return [
      'encrypted-or-not-sqlite',
      (path) => `${path} is not a plain SQLite file (encrypted, or another format).`,
      'Check the path. An encrypted database can only be copied as a file, while no program has it open.',
    ];
  }
  if (code.startsWith('SQLITE_CORRUPT')) {
    return [
      'corrupt',
      (path) => `${path} is damaged: SQLite cannot read it.`,
      'Restore it from a backup, or try `sqlite3 DATABASE .recover` on a copy.',
    ];
  }
  return undefined;
}

function systemMeaning(code: string, side: Side): Meaning | undefined {
  switch (code) {
    case 'ENOENT':
      return side === 'source'
        ? ['source-missing', (path) => `${path} does not exist.`, 'Check the path.']
        : ['access', (path) => `${path} does not exist.`, 'Choose a folder that exists.'];
    case 'ELOOP':
      return [
        side === 'source' ? 'source-missing' : 'access',
        (path) => `${path} is a symbolic link that leads to itself.`,
        'Remove the link.',
      ];
    case 'ENOTDIR':
      return side === 'source'
        ? ['source-missing', (path) => `${path} does not exist.`, 'Check the path.']
        : ['access', (path) => `${path} is not a folder.`, 'Choose another folder.'];
    case 'EACCES':
    case 'EPERM':
      return side === 'source'
        ? [
            'access',
            (path) => `${path} cannot be read: permission denied.`,
            'Give yourself access and try again.',
          ]
        : [
            'access',
            (path) => `${path} cannot be written: permission denied.`,
            'Choose another folder, or allow writing.',
          ];
    case 'EBUSY':
      return [
        'access',
        (path) =>
          `${path} is in use by the system: something is mounted there, or a program keeps it from being replaced.`,
        'Unmount it, or stop that program, and try again.',
      ];
    case 'EROFS':
      return [
        'access',
        (path) => `${path} is on a read-only file system.`,
        'Choose another folder.',
      ];
    case 'ENOSPC':
    case 'EDQUOT':
      return side === 'source'
        ? [
            'source-fs-full',
            (path) => `${path} is on a full disk.`,
            'Free some space and try again.',
          ]
        : [
            'target-full',
            (path) => `${path} has no space left.`,
            'Free some space or choose another folder.',
          ];
    case 'EFBIG':
      return [
        'target-full',
        (path) => `${path} cannot take a file of this size.`,
        'Choose a folder on another disk.',
      ];
    case 'EEXIST':
      return [
        'name-taken',
        (path) => `${path} already exists.`,
        'Choose another name: backups are never overwritten.',
      ];
    case 'ENAMETOOLONG':
      return [
        'bad-name',
        (path) => `${path} has a name that is too long.`,
        'Choose a shorter name.',
      ];
    default:
      return undefined;
  }
}

/** Of what sends to another machine, the copies before the cancel are there. */
export function cancelled(left: 'nothing' | 'copies' | 'unknown' = 'nothing'): BackupError {
  if (left === 'nothing') return new BackupError('cancelled', 'Cancelled. Nothing was written.');
  if (left === 'unknown') return new BackupError('cancelled', 'Cancelled.');
  return new BackupError(
    'cancelled',
    'Cancelled. What was sent before stays there; the next run sends the rest.',
  );
}
