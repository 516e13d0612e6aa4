// Made by `npm run docs` from package.json, which is the place for changes.
export const commands = {
  applyRetention: 'sqliteBackup.applyRetention',
  backUp: 'sqliteBackup.backUp',
  backUpAll: 'sqliteBackup.backUpAll',
  backUpCompact: 'sqliteBackup.backUpCompact',
  cancel: 'sqliteBackup.cancel',
  checkpointNow: 'sqliteBackup.checkpointNow',
  chooseBackupsFolder: 'sqliteBackup.chooseBackupsFolder',
  chooseForBundle: 'sqliteBackup.chooseForBundle',
  clearFilter: 'sqliteBackup.clearFilter',
  compareSelected: 'sqliteBackup.compareSelected',
  compareWithLive: 'sqliteBackup.compareWithLive',
  copyPath: 'sqliteBackup.copyPath',
  copySha256: 'sqliteBackup.copySha256',
  copyToWorktree: 'sqliteBackup.copyToWorktree',
  createBundle: 'sqliteBackup.createBundle',
  delete: 'sqliteBackup.delete',
  deleteEveryCopy: 'sqliteBackup.deleteEveryCopy',
  deleteGoneCheckpoints: 'sqliteBackup.deleteGoneCheckpoints',
  deleteSetAside: 'sqliteBackup.deleteSetAside',
  doctor: 'sqliteBackup.doctor',
  exportRunbook: 'sqliteBackup.exportRunbook',
  extract: 'sqliteBackup.extract',
  fetchOffsite: 'sqliteBackup.fetchOffsite',
  filter: 'sqliteBackup.filter',
  forgetOffsite: 'sqliteBackup.forgetOffsite',
  getStarted: 'sqliteBackup.getStarted',
  hideFromEditorTitle: 'sqliteBackup.hideFromEditorTitle',
  lookInside: 'sqliteBackup.lookInside',
  note: 'sqliteBackup.note',
  openBackupsFolder: 'sqliteBackup.openBackupsFolder',
  openReadOnly: 'sqliteBackup.openReadOnly',
  pauseProtection: 'sqliteBackup.pauseProtection',
  pin: 'sqliteBackup.pin',
  protectAgents: 'sqliteBackup.protectAgents',
  protectAutomatically: 'sqliteBackup.protectAutomatically',
  proveRestorable: 'sqliteBackup.proveRestorable',
  quickBackUp: 'sqliteBackup.quickBackUp',
  recoverRestore: 'sqliteBackup.recoverRestore',
  refresh: 'sqliteBackup.refresh',
  release: 'sqliteBackup.release',
  rename: 'sqliteBackup.rename',
  restore: 'sqliteBackup.restore',
  restoreCheckpoint: 'sqliteBackup.restoreCheckpoint',
  restoreLitestream: 'sqliteBackup.restoreLitestream',
  resumeProtection: 'sqliteBackup.resumeProtection',
  revealBackup: 'sqliteBackup.revealBackup',
  saveCopyAs: 'sqliteBackup.saveCopyAs',
  saveOpenFiles: 'sqliteBackup.saveOpenFiles',
  sendOffsite: 'sqliteBackup.sendOffsite',
  setDatabase: 'sqliteBackup.setDatabase',
  setUpOffsite: 'sqliteBackup.setUpOffsite',
  showAll: 'sqliteBackup.showAll',
  showHolders: 'sqliteBackup.showHolders',
  showInBackups: 'sqliteBackup.showInBackups',
  showInEditorTitle: 'sqliteBackup.showInEditorTitle',
  showLog: 'sqliteBackup.showLog',
  sort: 'sqliteBackup.sort',
  stopChoosing: 'sqliteBackup.stopChoosing',
  undoRestore: 'sqliteBackup.undoRestore',
  undoTurn: 'sqliteBackup.undoTurn',
  unpin: 'sqliteBackup.unpin',
  unprotectAgents: 'sqliteBackup.unprotectAgents',
  verify: 'sqliteBackup.verify',
  verifyAll: 'sqliteBackup.verifyAll',
} as const;
export type CommandId = (typeof commands)[keyof typeof commands];

/** What the settings hold by their schemas. A person may have written anything. */
export interface SettingValues {
  backupsFolder: string;
  include: string[];
  exclude: string[];
  autoRefresh: boolean;
  method: 'exact' | 'compact';
  verifyAfterBackup: boolean;
  deadline: number;
  maxSize: number;
  staleAfter: number;
  snapshotsShown: number;
  'databases.sortBy': 'name' | 'size' | 'age';
  'backups.sortBy': 'name' | 'size' | 'age';
  'retention.keepLast': number;
  'retention.keepHourly': number;
  'retention.keepDaily': number;
  'retention.keepWeekly': number;
  'retention.keepMonthly': number;
  'retention.keepYearly': number;
  'retention.maxTotalSize': number;
  'retention.afterBackup': boolean;
  'statusBar.visible': boolean;
  'statusBar.text': 'lastBackup' | 'attention' | 'icon';
  'statusBar.click': 'quickBackUp' | 'backUpAll' | 'backUp' | 'showView';
  editorTitleButton: boolean;
  confirmations: 'always' | 'irreversible';
  'bundle.compression': 'store' | 'fast' | 'balanced' | 'small';
  bundles: unknown[];
  'restore.stopTask': string;
  'restore.startTask': string;
  'restore.healthUrl': string;
  'restore.spotChecks': string[];
  schedule: string;
  offsite: unknown[];
  'before.debug': 'off' | 'onlyIfChanged';
  'before.commands': string[];
  branches: 'off' | 'ask' | 'auto';
  checkpointsFolder: string;
  'checkpoints.maxDisk': number;
  lossAlarm: boolean;
  'agents.protect': boolean;
  'agents.whenNotSaved': 'ask' | 'continue';
  'agents.mcp': boolean;
}
export type SettingKey = keyof SettingValues;
