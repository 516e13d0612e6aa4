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
  showAll: 'sqliteBackup.showAll',
  verify: 'sqliteBackup.verify',
  proveRestorable: 'sqliteBackup.proveRestorable',
  compareWithLive: 'sqliteBackup.compareWithLive',
  compareSelected: 'sqliteBackup.compareSelected',
  openReadOnly: 'sqliteBackup.openReadOnly',
  saveCopyAs: 'sqliteBackup.saveCopyAs',
  revealBackup: 'sqliteBackup.revealBackup',
  copyPath: 'sqliteBackup.copyPath',
  copySha256: 'sqliteBackup.copySha256',
  rename: 'sqliteBackup.rename',
  note: 'sqliteBackup.note',
  pin: 'sqliteBackup.pin',
  unpin: 'sqliteBackup.unpin',
  delete: 'sqliteBackup.delete',
  applyRetention: 'sqliteBackup.applyRetention',
} as const;
export type CommandId = (typeof commands)[keyof typeof commands];

export const views = {
  databases: 'sqliteBackup.databases',
  backups: 'sqliteBackup.backups',
} as const;

export const section = 'sqliteBackup';
export const settingKeys = {
  backupsFolder: 'backupsFolder',
  include: 'include',
  exclude: 'exclude',
  method: 'method',
  verifyAfterBackup: 'verifyAfterBackup',
  deadline: 'deadline',
  maxSize: 'maxSize',
  snapshotsShown: 'snapshotsShown',
  keepLast: 'retention.keepLast',
  keepHourly: 'retention.keepHourly',
  keepDaily: 'retention.keepDaily',
  keepWeekly: 'retention.keepWeekly',
  keepMonthly: 'retention.keepMonthly',
  keepYearly: 'retention.keepYearly',
  maxTotalSize: 'retention.maxTotalSize',
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
  gone: 'gone',
  more: 'more',
  day: 'day',
} as const;
