/** Every name that code and manifest share. A test compares both. */
export const commands = {
  backUp: 'sqliteBackup.backUp',
  backUpAll: 'sqliteBackup.backUpAll',
  quickBackUp: 'sqliteBackup.quickBackUp',
  cancel: 'sqliteBackup.cancel',
  refresh: 'sqliteBackup.refresh',
  chooseBackupsFolder: 'sqliteBackup.chooseBackupsFolder',
  openBackupsFolder: 'sqliteBackup.openBackupsFolder',
  showLog: 'sqliteBackup.showLog',
} as const;
export type CommandId = (typeof commands)[keyof typeof commands];

export const views = { databases: 'sqliteBackup.databases' } as const;

export const section = 'sqliteBackup';
export const settingKeys = {
  backupsFolder: 'backupsFolder',
  include: 'include',
  exclude: 'exclude',
  method: 'method',
  verifyAfterBackup: 'verifyAfterBackup',
  deadline: 'deadline',
  maxSize: 'maxSize',
} as const;

/** What the `when` clauses of the manifest look at. */
export const contextKeys = {
  /** `searching`, `none` or `some`: whether the workspace has databases. */
  databases: 'sqliteBackup.databases',
  running: 'sqliteBackup.running',
} as const;

/** Words of a tree row's `contextValue`, matched by the manifest with `viewItem =~ /…/`. */
export const rowContext = {
  folder: 'folder',
  database: 'database',
  running: 'running',
  snapshot: 'snapshot',
} as const;
