/** Every name that code and manifest share. A test compares both. */
export const commands = {
  backUp: 'sqliteBackup.backUp',
  backUpAll: 'sqliteBackup.backUpAll',
  backUpCompact: 'sqliteBackup.backUpCompact',
  quickBackUp: 'sqliteBackup.quickBackUp',
  cancel: 'sqliteBackup.cancel',
  refresh: 'sqliteBackup.refresh',
  chooseBackupsFolder: 'sqliteBackup.chooseBackupsFolder',
  openBackupsFolder: 'sqliteBackup.openBackupsFolder',
  showLog: 'sqliteBackup.showLog',
  doctor: 'sqliteBackup.doctor',
  showAll: 'sqliteBackup.showAll',
  lookInside: 'sqliteBackup.lookInside',
  verify: 'sqliteBackup.verify',
  verifyAll: 'sqliteBackup.verifyAll',
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
  release: 'sqliteBackup.release',
  setDatabase: 'sqliteBackup.setDatabase',
  applyRetention: 'sqliteBackup.applyRetention',
  createBundle: 'sqliteBackup.createBundle',
  chooseForBundle: 'sqliteBackup.chooseForBundle',
  stopChoosing: 'sqliteBackup.stopChoosing',
  extract: 'sqliteBackup.extract',
  restore: 'sqliteBackup.restore',
  showHolders: 'sqliteBackup.showHolders',
  saveOpenFiles: 'sqliteBackup.saveOpenFiles',
  undoRestore: 'sqliteBackup.undoRestore',
  recoverRestore: 'sqliteBackup.recoverRestore',
  deleteSetAside: 'sqliteBackup.deleteSetAside',
  exportRunbook: 'sqliteBackup.exportRunbook',
  filter: 'sqliteBackup.filter',
  clearFilter: 'sqliteBackup.clearFilter',
  sort: 'sqliteBackup.sort',
  showInEditorTitle: 'sqliteBackup.showInEditorTitle',
  hideFromEditorTitle: 'sqliteBackup.hideFromEditorTitle',
} as const;
export type CommandId = (typeof commands)[keyof typeof commands];

export const views = {
  databases: 'sqliteBackup.databases',
  backups: 'sqliteBackup.backups',
} as const;

/** The type of the runbook's panel. */
export const runbookView = 'sqliteBackup.runbook';

/** The type of the panel that shows what is inside a backup. */
export const lookView = 'sqliteBackup.look';

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
  autoRefresh: 'autoRefresh',
  staleAfter: 'staleAfter',
  sortDatabases: 'databases.sortBy',
  sortBackups: 'backups.sortBy',
  statusBarVisible: 'statusBar.visible',
  statusBarText: 'statusBar.text',
  statusBarClick: 'statusBar.click',
  editorTitleButton: 'editorTitleButton',
  confirmations: 'confirmations',
  retainAfterBackup: 'retention.afterBackup',
  compression: 'bundle.compression',
  bundles: 'bundles',
  stopTask: 'restore.stopTask',
  startTask: 'restore.startTask',
  healthUrl: 'restore.healthUrl',
  spotChecks: 'restore.spotChecks',
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
  /** `none` or `some`: whether the backups folders have anything. */
  backups: 'sqliteBackup.backups',
  /** `none` or `some`: whether a backups folder is chosen. */
  backupsFolder: 'sqliteBackup.backupsFolder',
  /** Paths of the databases whose extensions do not tell that they are. */
  byContent: 'sqliteBackup.byContent',
  running: 'sqliteBackup.running',
  /** Whether rows have boxes for the next bundle. */
  choosing: 'sqliteBackup.choosing',
  /** Whether a filter leaves rows out. */
  filtered: 'sqliteBackup.filtered',
} as const;

/** Words of a tree row's `contextValue`, matched by the manifest with `viewItem =~ /…/`. */
export const rowContext = {
  folder: 'folder',
  database: 'database',
  running: 'running',
  /** Any backup: a snapshot, a bundle, a file of others. */
  backup: 'backup',
  snapshot: 'snapshot',
  bundle: 'bundle',
  /** Inside a bundle. */
  memberDatabase: 'memberDatabase',
  memberFile: 'memberFile',
  setAside: 'setAside',
  /** Tells of rows that are gone. */
  loss: 'loss',
  gone: 'gone',
  /** Stands for databases that only their content tells. */
  others: 'others',
  more: 'more',
  day: 'day',
} as const;
