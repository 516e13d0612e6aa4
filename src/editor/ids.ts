/** Names that code and manifest share and that are not made from it, as in contributed.ts. A test compares both. */
export const views = {
  databases: 'sqliteBackup.databases',
  backups: 'sqliteBackup.backups',
} as const;

/** The name of this extension, with its publisher. */
export const extensionId = 'sqlite-backup.sqlite-backup';

/** With the name of the extension before it. */
export const walkthrough = `${extensionId}#start`;

/** The type of the runbook's panel. */
export const runbookView = 'sqliteBackup.runbook';

/** The type of the panel that shows what is inside a backup. */
export const lookView = 'sqliteBackup.look';

export const section = 'sqliteBackup';
/** What the `when` clauses of the manifest look at. */
export const contextKeys = {
  /** `searching`, `none` or `some`: whether the workspace has databases. */
  databases: 'sqliteBackup.databases',
  /** `none` or `some`: whether the backups folders have anything. */
  backups: 'sqliteBackup.backups',
  /** `none` or `some`: whether a backups folder is chosen. */
  backupsFolder: 'sqliteBackup.backupsFolder',
  /** Paths of the databases, told by their content. */
  byContent: 'sqliteBackup.byContent',
  /** Paths of everything in the backups folders. */
  backupFiles: 'sqliteBackup.backupFiles',
  /** Whether VS Code is older than the plugins of its chat: then the skill comes by itself. */
  withoutPlugins: 'sqliteBackup.withoutPlugins',
  /** Whether a restore has kept a previous database that is still there. */
  previous: 'sqliteBackup.previous',
  /** Whether the main work tree of git has databases that this one does not. */
  missing: 'sqliteBackup.missing',
  running: 'sqliteBackup.running',
  /** Set once a restore has been done in this window. */
  restored: 'sqliteBackup.restored',
  /** Whether rows have boxes for the next bundle. */
  choosing: 'sqliteBackup.choosing',
  /** Whether automatic checkpoints are paused. */
  paused: 'sqliteBackup.paused',
  /** Whether a filter leaves rows out. */
  filtered: 'sqliteBackup.filtered',
} as const;

/** Words of a tree row's `contextValue`, matched by the manifest with `viewItem =~ /…/`. */
export const rowContext = {
  folder: 'folder',
  database: 'database',
  running: 'running',
  /** Litestream replicates it, and its program is there. */
  litestream: 'litestream',
  /** All checkpoints of a database, or those of a day. */
  checkpoints: 'checkpoints',
  /** Those of one turn of an agent. */
  turn: 'turn',
  /** Any backup: a snapshot, a bundle, a file of others. */
  backup: 'backup',
  snapshot: 'snapshot',
  bundle: 'bundle',
  /** Inside a bundle. */
  memberDatabase: 'memberDatabase',
  memberFile: 'memberFile',
  setAside: 'setAside',
  /** A previous database beside the live one. */
  previous: 'previous',
  /** Tells of rows that are gone. */
  loss: 'loss',
  gone: 'gone',
  /** Only the main work tree of git has it. */
  missing: 'missing',
  /** Stands for databases that only their content tells. */
  others: 'others',
  more: 'more',
  day: 'day',
  /** A folder with databases in it. */
  databaseFolder: 'databaseFolder',
} as const;

/** The provider of the MCP server. */
export const mcpProvider = 'sqliteBackup.mcp';
