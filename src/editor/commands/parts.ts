/** What commands work with. */
import type * as vscode from 'vscode';
import type { WorkerClient } from '../../worker/client.ts';
import type { Audit } from '../audit.ts';
import type { Backups } from '../backups.ts';
import type { BackupsFolder } from '../backupsFolder.ts';
import type { BackupsView } from '../backupsView.ts';
import type { DatabasesView } from '../databasesView.ts';
import type { Documents } from '../documents.ts';
import type { Filter } from '../filter.ts';
import type { Log } from '../log.ts';
import type { Looks } from '../looks.ts';
import type { Offsite } from '../offsite.ts';
import type { Checkpoints } from '../protection/checkpoints.ts';
import type { Protection } from '../protection/protection.ts';
import type { Runbooks } from '../runbooks.ts';
import type { Settings } from '../settings.ts';
import type { Worktrees } from '../worktrees.ts';

/** What commands work with. */
export interface Parts {
  audit: Audit;
  backups: Backups;
  folder: BackupsFolder;
  log: Log;
  looks: Looks;
  memory: vscode.Memento;
  offsite: Offsite;
  checkpoints: Checkpoints;
  protection: Protection;
  runbooks: Runbooks;
  toolVersion: string;
  viewId: string;
  worker: WorkerClient;
  settings: Settings;
  documents: Documents;
  filter: Filter;
  backupsView: BackupsView;
  databasesView: DatabasesView;
  worktrees: Worktrees;
  /** A folder of our own that outlives the window. */
  storage: vscode.Uri;
}
