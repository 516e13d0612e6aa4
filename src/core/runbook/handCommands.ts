/*
 * The file operations of a restore as commands for a person's own shell. Pure. Every name is quoted, so that it is never
 * read as anything else, whatever characters it has; all paths are absolute, so none begins with a dash. Each command
 * fails when what it expects does not hold, and none overwrites or removes what is not under another name.
 */

/** What is known of one database of a restore, with the names that the commands use. */
export interface HandNames {
  backup: string;
  /** Inside a bundle. */
  member?: string;
  sha256?: string;
  live: string;
  liveExists: boolean;
  setAside: string;
  /** Beside the live file, until it takes its name. */
  staged: string;
  isWal: boolean;
  permissions?: { mode: number; uid: number; gid: number };
  tables: string[];
}

export interface ShellCommands {
  check: (names: HandNames) => string[];
  stop: (names: HandNames) => string[];
  move: (names: HandNames) => string[];
  copy: (names: HandNames) => string[];
  verify: (names: HandNames) => string[];
  /** Only if the person wants it: the way back. */
  undo: (names: HandNames) => string[];
  /** Only if the person wants it: the end of the set-aside. */
  remove: (names: HandNames) => string[];
}

const siblings = ['-wal', '-shm', '-journal'] as const;
const integrity = 'PRAGMA integrity_check';

/** A word of POSIX sh: everything between single quotes is itself. */
export function quoteForShell(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** A string of PowerShell: between single quotes only these mean something, also the curly ones. */
export function quoteForPowerShell(text: string): string {
  return `'${text.replace(/['\u2018\u2019\u201a\u201b]/g, '$&$&')}'`;
}

const countRows = (table: string): string =>
  `SELECT count(*) FROM "${table.replaceAll('"', '""')}"`;

/** `unzip` reads names as patterns, and a leading dash as an option. */
const memberPattern = (member: string): string =>
  member.replace(/[*?[\]\\]/g, '\\$&').replace(/^-/, '[-]');

/** The name of a zip is a pattern only when it looks like one; a backslash alone does not take that away from it. */
const zipPattern = (zip: string): string =>
  /[*?[]/.test(zip)
    ? zip.replace(/[^/]*$/, (name) => name.replace(/\\/g, '\\\\').replace(/[*?[]/g, '[$&]'))
    : zip;

const unzip = (option: '-p' | '-t', backup: string, member: string): string =>
  `unzip ${option} ${q(zipPattern(backup))} ${q(memberPattern(member))}`;

const q = quoteForShell;
const hashOf = (path: string): string =>
  `"$({ sha256sum 2>/dev/null || shasum -a 256; } < ${q(path)} | cut -c1-64)"`;
const hasHash = (path: string, sha256: string): string => `test ${hashOf(path)} = ${q(sha256)}`;
const sqlGives = (path: string, sql: string, expected: string, options = ''): string =>
  `test "$(sqlite3 ${options}${q(path)} ${q(sql)})" = ${expected}`;
/** Under `set -e` only the last command of an AND-OR list ends a script, so what must hold stands last, or alone. */
const ifThere = (path: string, command: string): string => `test ! -e ${q(path)} || ${command}`;

export const shellCommands: ShellCommands = {
  check: ({ backup, member, sha256 }) =>
    member !== undefined
      ? [unzip('-t', backup, member)]
      : [
          ...(sha256 === undefined ? [] : [hasHash(backup, sha256)]),
          sqlGives(backup, integrity, 'ok', '-readonly '),
        ],
  // Without it, the next would find nobody.
  stop: ({ live }) => ['command -v lsof', `test -z "$(lsof -t ${q(live)} 2>/dev/null)"`],
  move: ({ live, setAside }) => [
    ...['', ...siblings].map((part) =>
      ifThere(live + part, `ln ${q(live + part)} ${q(setAside + part)}`),
    ),
    'sync',
  ],
  copy: ({ backup, member, sha256, live, liveExists, setAside, staged, isWal, permissions }) => [
    `test ! -e ${q(staged)}`,
    member === undefined
      ? `cp ${q(backup)} ${q(staged)}`
      : `${unzip('-p', backup, member)} > ${q(staged)}`,
    ...(sha256 === undefined ? [] : [hasHash(staged, sha256)]),
    ...(isWal ? [sqlGives(staged, 'PRAGMA journal_mode = wal', 'wal')] : []),
    sqlGives(staged, integrity, 'ok'),
    ...(permissions === undefined
      ? [`chmod 600 ${q(staged)}`]
      : [
          `chown ${permissions.uid}:${permissions.gid} ${q(staged)}`,
          `chmod ${permissions.mode.toString(8)} ${q(staged)}`,
        ]),
    'sync',
    ...siblings.map((part) => ifThere(live + part, `cmp ${q(live + part)} ${q(setAside + part)}`)),
    ...siblings.map((part) => ifThere(live + part, `rm ${q(live + part)}`)),
    ...(liveExists
      ? [`cmp ${q(live)} ${q(setAside)}`, `mv -f ${q(staged)} ${q(live)}`]
      : [`test ! -e ${q(live)}`, `mv ${q(staged)} ${q(live)}`]),
    'sync',
  ],
  verify: ({ live, tables }) => [
    sqlGives(live, integrity, 'ok'),
    ...tables.map((table) => `sqlite3 ${q(live)} ${q(countRows(table))}`),
  ],
  undo: ({ live, liveExists, setAside }) => [
    ...(liveExists ? [`test -e ${q(setAside)}`] : []),
    ...['', ...siblings].map((part) => `test ! -e ${q(`${setAside}.restored${part}`)}`),
    ...['', ...siblings].map((part) =>
      ifThere(live + part, `mv ${q(live + part)} ${q(`${setAside}.restored${part}`)}`),
    ),
    ...['', ...siblings].map((part) =>
      ifThere(setAside + part, `mv ${q(setAside + part)} ${q(live + part)}`),
    ),
    'sync',
  ],
  remove: ({ setAside }) => [
    `rm -f ${['', ...siblings].map((part) => q(setAside + part)).join(' ')}`,
  ],
};

const p = quoteForPowerShell;
const exists = (path: string): string => `[IO.File]::Exists(${p(path)})`;
const hash = (path: string): string =>
  `(Get-FileHash -Algorithm SHA256 -LiteralPath ${p(path)}).Hash`;
const requires = (condition: string, otherwise: string): string =>
  `if (-not (${condition})) { throw ${p(otherwise)} }`;
/** Through standard input: Windows PowerShell drops double quotes from the arguments of programs. */
const sql = (path: string, statement: string): string => `(${p(statement)} | sqlite3 ${p(path)})`;
const copyFile = (from: string, to: string): string =>
  `[IO.File]::Copy(${p(from)}, ${p(to)}, $false)`;
const moveFile = (from: string, to: string): string => `[IO.File]::Move(${p(from)}, ${p(to)})`;

export const powerShellCommands: ShellCommands = {
  check: ({ backup, member, sha256 }) =>
    member !== undefined
      ? [requires(exists(backup), 'The backup is not there.')]
      : [
          ...(sha256 === undefined
            ? []
            : [requires(`${hash(backup)} -eq ${p(sha256)}`, 'The backup is not what it was.')]),
          requires(`${sql(backup, integrity)} -eq 'ok'`, 'The backup is damaged.'),
        ],
  stop: ({ live }) => [
    `if (${exists(live)}) { [IO.File]::Open(${p(live)}, 'Open', 'ReadWrite', 'None').Close() }`,
  ],
  move: ({ live, setAside }) =>
    ['', ...siblings].map(
      (part) => `if (${exists(live + part)}) { ${copyFile(live + part, setAside + part)} }`,
    ),
  copy: ({ backup, member, sha256, live, liveExists, setAside, staged, isWal }) => [
    member === undefined
      ? copyFile(backup, staged)
      : `Add-Type -AssemblyName System.IO.Compression.FileSystem; $zip = [IO.Compression.ZipFile]::OpenRead(${p(backup)}); try { [IO.Compression.ZipFileExtensions]::ExtractToFile($zip.GetEntry(${p(member)}), ${p(staged)}, $false) } finally { $zip.Dispose() }`,
    ...(sha256 === undefined
      ? []
      : [requires(`${hash(staged)} -eq ${p(sha256)}`, 'The copy differs from the backup.')]),
    ...(isWal
      ? [requires(`${sql(staged, 'PRAGMA journal_mode = wal')} -eq 'wal'`, 'No WAL mode.')]
      : []),
    requires(`${sql(staged, integrity)} -eq 'ok'`, 'The copy is damaged.'),
    ...siblings.map(
      (part) =>
        `if (${exists(live + part)}) { if (${hash(live + part)} -ne ${hash(setAside + part)}) { throw 'The database has changed.' }; [IO.File]::Delete(${p(live + part)}) }`,
    ),
    ...(liveExists
      ? [
          requires(`${hash(live)} -eq ${hash(setAside)}`, 'The database has changed.'),
          `[IO.File]::Replace(${p(staged)}, ${p(live)}, [NullString]::Value)`,
        ]
      : [moveFile(staged, live)]),
  ],
  verify: ({ live, tables }) => [
    requires(`${sql(live, integrity)} -eq 'ok'`, 'The restored database is damaged.'),
    ...tables.map((table) => sql(live, countRows(table))),
  ],
  undo: ({ live, liveExists, setAside }) => [
    ...(liveExists ? [requires(exists(setAside), 'The old database is not there.')] : []),
    ...['', ...siblings].map(
      (part) =>
        `if (${exists(live + part)}) { ${moveFile(live + part, `${setAside}.restored${part}`)} }`,
    ),
    ...['', ...siblings].map(
      (part) => `if (${exists(setAside + part)}) { ${moveFile(setAside + part, live + part)} }`,
    ),
  ],
  remove: ({ setAside }) =>
    ['', ...siblings].map((part) => `[IO.File]::Delete(${p(setAside + part)})`),
};
