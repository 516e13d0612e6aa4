import { existsSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import * as vscode from 'vscode';
import type { CatalogEntry } from '../../core/catalog/catalog.ts';
import { BackupError, isBackupError } from '../../core/errors.ts';
import type { RestorePlan } from '../../core/restore/plan.ts';
import type { Interrupted, Recovered } from '../../core/restore/recovery.ts';
import type { SetAside } from '../../core/restore/setAside.ts';
import { formatBytes } from '../../core/units.ts';
import { exportedRunbook } from '../../runbook/exportedRunbook.ts';
import type { Question } from '../../runbook/host.ts';
import { withoutData } from '../../runbook/lastCopy.ts';
import { questionBeforeDelete, questionBeforeUndo } from '../../runbook/questions.ts';
import { isCopied, type RunItem } from '../../runbook/run.ts';
import { undoAsked } from '../../runbook/steps/undo.ts';
import { recoveredWords } from '../../runbook/words.ts';
import { writtenSince } from '../../runbook/writtenSince.ts';
import { inertLine, notice, notify } from '../inert.ts';
import { livePathOf } from '../livePath.ts';
import { databaseName, verdictWord } from '../messages.ts';
import { errorMessage } from '../errorMessages.ts';
import { dayAndTime } from '../times.ts';
import { isRow } from '../rows.ts';
import { restoreFromLitestream } from './litestream.ts';
import { memberRows } from './members.ts';
import type { Parts } from './parts.ts';
import { backupsFor, withCancel } from './selection.ts';

/** As the page has its words. */
const pageWording = {
  t: (text: string, ...values: (string | number)[]) => vscode.l10n.t(text, ...values),
  nameOf: (path: string) => databaseName(vscode.Uri.file(path)),
};

/**
 * Opens the runbook of a backup, or of a member of a bundle. A row of a database asks which of its backups; nothing asks
 * among all.
 */
export async function restore(parts: Parts, target?: unknown): Promise<{ runbook?: string }> {
  const [row] = memberRows(target, undefined);
  const entry = row?.entry ?? (await backupToRestore(parts, target));
  if (entry === undefined) return {};
  if (entry === 'litestream') return restoreFromLitestream(parts, target);
  const own = isRow(target) && target.kind === 'snapshot' ? target.uri?.fsPath : undefined;
  // A checkpoint knows where its database is, or was; its row knows better where that is now.
  const live = entry.kept?.livePath === undefined ? undefined : (own ?? entry.kept.livePath);
  const items =
    live === undefined ? await itemsFor(parts, entry, row?.member.name) : [{ live, chosen: true }];
  if (items.length === 0) return {};
  const { restore: opened } = await parts.runbooks.open(entry.path, items);
  return { runbook: opened.run.id };
}

async function backupToRestore(
  parts: Parts,
  target: unknown,
): Promise<CatalogEntry | 'litestream' | undefined> {
  const { backups } = parts;
  const row = isRow(target) ? target : undefined;
  const uri =
    target instanceof vscode.Uri ? target : row?.kind === 'database' ? row.uri : undefined;
  const gone =
    row?.kind === 'gone' ? backups.gone.find(({ path }) => path === row.path) : undefined;
  const database = uri === undefined ? undefined : backups.databaseAt(uri);
  const own = uri === undefined ? gone?.snapshots : database?.snapshots;
  if (own === undefined) {
    const [entry] = await backupsFor(parts, target, undefined, {
      several: false,
      title: vscode.l10n.t('Restore a Backup'),
    });
    return entry;
  }
  const litestream = {
    label: vscode.l10n.t('From Litestream…'),
    description: vscode.l10n.t('a state that Litestream keeps'),
    entry: 'litestream' as const,
  };
  const others = database?.file.litestream?.hasProgram === true ? [litestream] : [];
  if (own.length + others.length === 0) {
    void notify.info(vscode.l10n.t('There is no backup of this database yet.'));
    return undefined;
  }
  // Damaged ones come last: they can only be restored to a new file.
  const isDamaged = ({ verified }: CatalogEntry): boolean => verified === 'damaged';
  const items = [...own.filter((one) => !isDamaged(one)), ...own.filter(isDamaged)].map(
    (entry) => ({
      label: dayAndTime(entry.createdAt, Date.now()),
      description: `${formatBytes(entry.sizeBytes)} · ${verdictWord(entry.verified)}`,
      detail: inertLine(basename(entry.path)),
      entry,
    }),
  );
  const name = uri === undefined ? (row?.kind === 'gone' ? row.path : '') : databaseName(uri);
  const title = vscode.l10n.t('Restore {0}', inertLine(name));
  const placeHolder = vscode.l10n.t('Choose the backup to restore');
  return (await vscode.window.showQuickPick([...items, ...others], { title, placeHolder }))?.entry;
}

/** The live databases that a backup is of, whether they exist or not; asks where nothing tells. */
async function itemsFor(
  parts: Parts,
  entry: CatalogEntry,
  only: string | undefined,
): Promise<RunItem[]> {
  const names =
    entry.bundle === undefined
      ? [undefined]
      : entry.bundle.databases
          .map(({ name }) => name)
          .filter((name) => only === undefined || name === only);
  const items: RunItem[] = [];
  for (const member of names) {
    const live =
      livePathOf(parts.backups, entry, member) ??
      (await askForLive(member ?? basename(entry.path)));
    if (live === undefined) return [];
    items.push({ live, chosen: true, ...(member !== undefined && { member }) });
  }
  return items;
}

async function askForLive(name: string): Promise<string | undefined> {
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri;
  const picked = await vscode.window.showSaveDialog({
    title: vscode.l10n.t('Which database should {0} replace?', inertLine(name)),
    saveLabel: vscode.l10n.t('Plan the Restore'),
    ...(folder !== undefined && { defaultUri: vscode.Uri.joinPath(folder, basename(name)) }),
  });
  return picked?.fsPath;
}

/**
 * Puts the previous database of a restore back. Asks which, of those that are kept in the workspace. It asks also when it
 * gets a Uri, which may come from a key that was bound long ago and says nothing of what was written since the restore.
 */
export async function undoRestore(parts: Parts, target?: unknown): Promise<{ target?: string }> {
  const { t } = vscode.l10n;
  const setAside = await setAsideOf(parts, target, { title: t('Undo a Restore') });
  if (setAside === undefined) return {};
  if (existsSync(setAside.target) && !(await confirmUndo(parts, setAside))) return {};
  const { toolVersion } = parts;
  const host = {
    worker: parts.worker,
    confirm: async ({ message, detail, yes }: Question) =>
      (await notify.confirm(message, detail, yes)) === yes,
    ...pageWording,
  };
  const done = await withCancel(t('Putting the previous database back'), (signal) =>
    undoAsked({ setAside: setAside.path, toolVersion }, { host, options: { signal } }),
  );
  if (done === undefined) return {};
  parts.log.info(`undo: ${done.target} is what ${setAside.path} kept.`);
  void parts.audit.record({ what: 'undo', path: done.target, trigger: 'manual', result: 'ok' });
  await parts.runbooks.noteUndone(
    setAside.path,
    done.setAside === undefined ? [] : [done.setAside],
  );
  await parts.backups.refresh();
  const name = databaseName(vscode.Uri.file(done.target));
  void notify.info(t('{0}: the previous database is live again.', name));
  return { target: done.target };
}

/** The one that a Uri or a row names, else the one that a person picks. */
async function setAsideOf(
  parts: Parts,
  target: unknown,
  picking: Parameters<typeof pickSetAside>[1],
): Promise<SetAside | undefined> {
  if (target instanceof vscode.Uri) return setAsideAt(parts, target);
  if (isRow(target) && target.kind === 'previous') return target.previous;
  return pickSetAside(parts, picking);
}

async function setAsideAt({ worker }: Parts, { fsPath }: vscode.Uri): Promise<SetAside> {
  const all = await worker.call('listSetAsides', { in: dirname(fsPath) });
  const found = all.find(({ path }) => path === fsPath);
  if (found !== undefined) return found;
  const { t } = vscode.l10n;
  throw new BackupError(
    'bad-name',
    t('{0} is not a previous database that a restore has kept.', fsPath),
    {
      path: fsPath,
      hint: t('Name the file `….bad-<time>Z` that the restore has kept.'),
    },
  );
}

async function confirmUndo(parts: Parts, setAside: SetAside): Promise<boolean> {
  const { known } = await parts.worker.call('holders', { paths: [setAside.target] });
  const { message, detail, yes } = questionBeforeUndo(
    [setAside.target],
    { gone: [], added: [], known },
    await writtenSinceRestore(parts, setAside),
    pageWording,
  );
  return (await notify.confirm(message, detail, yes)) === yes;
}

/** Undefined when it is not remembered which backup was restored. */
async function writtenSinceRestore(
  { runbooks, worker }: Parts,
  { path, target }: SetAside,
): Promise<RestorePlan | undefined> {
  const run = runbooks.keeperOf(path);
  const item = run?.items.find(({ live }) => live === target);
  if (run === undefined || item === undefined || !isCopied(run)) return undefined;
  const { member } = item;
  const request = {
    backup: run.backup,
    items: [{ target, ...(member !== undefined && { member }) }],
  };
  return withCancel(vscode.l10n.t('Comparing what was written since the restore'), (signal) =>
    writtenSince(worker, request, { signal }),
  );
}

/** Deletes a previous database that a restore has kept, after asking. A file that no restore recorded is refused. */
export async function deleteSetAside(parts: Parts, target?: unknown): Promise<{ path?: string }> {
  const { t } = vscode.l10n;
  const setAside = await setAsideOf(parts, target, {
    title: t('Delete a Previous Database'),
    isOffered: (one) => isOfRestore(parts, one),
  });
  if (setAside === undefined) return {};
  const { path, target: live } = setAside;
  if (!isOfRestore(parts, setAside)) {
    throw new BackupError('bad-name', t('{0} was not kept by a restore.', basename(path)), {
      path,
      hint: t('It may be a file of another program. Delete it yourself if you know what it is.'),
    });
  }
  const question = questionBeforeDelete([path], withoutData([live]), pageWording);
  const { message, detail, yes, no = t('Keep It') } = question;
  if (!(await notify.confirmFinal(message, detail, { yes, no }))) return {};
  await parts.worker.call('deleteSetAside', { path });
  void parts.audit.record({ what: 'clean-up', path, trigger: 'manual', result: 'ok' });
  await parts.backups.refresh();
  return { path };
}

/** Recorded beside it, or remembered by this window: the commands by hand record nothing. */
function isOfRestore({ runbooks }: Parts, { path, isRecorded }: SetAside): boolean {
  return isRecorded || runbooks.keeperOf(path) !== undefined;
}

async function pickSetAside(
  { backups }: Parts,
  { title, isOffered = () => true }: { title: string; isOffered?: (one: SetAside) => boolean },
): Promise<SetAside | undefined> {
  const { t } = vscode.l10n;
  await backups.refresh();
  const found = backups.previous.filter(isOffered);
  if (found.length === 0) {
    void notify.info(t('No restore has kept a previous database in this workspace.'));
    return undefined;
  }
  const items = found.map((one) => ({
    label: inertLine(
      t(
        '{0} before the restore of {1}',
        databaseName(vscode.Uri.file(one.target)),
        dayAndTime(one.createdAt, Date.now()),
      ),
    ),
    description: inertLine([formatBytes(one.sizeBytes), basename(one.path)].join(' · ')),
    one,
  }));
  const placeHolder = t('Choose a previous database');
  return (await vscode.window.showQuickPick(items, { title, placeHolder }))?.one;
}

/** Finishes or rolls back restores that were interrupted; says so when there are none. */
export async function recoverRestore(parts: Parts): Promise<{ recovered: string[] }> {
  const found = await interruptedRestores(parts);
  if (found.length === 0) void notify.info(vscode.l10n.t('No restore was interrupted.'));
  const recovered: string[] = [];
  for (const one of found) if (await offerRecovery(parts, one)) recovered.push(one.id);
  return { recovered };
}

/** Pages that were open come back by themselves, and then they are the place to go on. */
const pagesReturnMs = 4000;

/** At the start of a window: restores that a crash has interrupted are offered. Otherwise nothing is shown. */
export async function offerRecoveries(parts: Parts): Promise<void> {
  if ((await interruptedRestores(parts)).length === 0) return;
  await new Promise((resolve) => setTimeout(resolve, pagesReturnMs));
  const found = await interruptedRestores(parts);
  const offered = found.filter(({ id }) => !parts.runbooks.isOpen(id));
  await Promise.all(offered.map((one) => offerRecovery(parts, one, notice.warn)));
}

async function interruptedRestores({ worker, runbooks }: Parts): Promise<Interrupted[]> {
  const intents = await vscode.workspace.findFiles('**/.sqlite-backup-restore-*.json', null, 100);
  const folders = new Set([
    ...intents.map(({ fsPath }) => dirname(fsPath)),
    // The intent is beside the file itself, which a link may lead to.
    ...runbooks.unfinished.flatMap(({ moved }) =>
      moved === undefined ? [] : dirname(moved.intent),
    ),
  ]);
  const found = new Map<string, Interrupted>();
  for (const folder of folders) {
    if (!existsSync(folder)) continue;
    for (const one of await worker.call('findInterrupted', { in: folder })) found.set(one.id, one);
  }
  return [...found.values()];
}

async function offerRecovery(
  parts: Parts,
  one: Interrupted,
  show: typeof notify.warn = notify.warn,
): Promise<boolean> {
  const { t } = vscode.l10n;
  const names = one.items.map(({ realTarget }) => databaseName(vscode.Uri.file(realTarget)));
  const [finish, rollBack, open] = [t('Finish'), t('Roll Back'), t('Open Runbook')];
  const run = parts.runbooks.unfinished.find(({ moved }) => moved?.id === one.id);
  const answer = await show(
    one.action === 'undo'
      ? t('An undo of the restore of {0} was interrupted. {1}', names.join(', '), one.words)
      : t('A restore of {0} was interrupted. {1}', names.join(', '), one.words),
    ...(one.can.includes('finish') ? [finish] : []),
    ...(one.can.includes('roll-back') ? [rollBack] : []),
    ...(run === undefined ? [] : [open]),
  );
  if (answer === open && run !== undefined) await parts.runbooks.resume(run);
  if (answer !== finish && answer !== rollBack) return false;
  const how = answer === finish ? 'finish' : 'roll-back';
  const done = await recover(parts, one, how);
  if (done === undefined) return false;
  parts.log.info(`recover: ${one.intent}: ${how}`);
  await parts.backups.refresh();
  void notify.info(recoveredWords(done, pageWording));
  return true;
}

async function recover(
  { worker, log, audit }: Parts,
  { intent, items: [first] }: Interrupted,
  how: 'finish' | 'roll-back',
): Promise<Recovered | undefined> {
  const what = how === 'finish' ? 'restore' : 'undo';
  const path = first?.realTarget ?? intent;
  try {
    const done = await worker.call('recoverInterrupted', { intent, how });
    for (const { message } of done.remarks) log.info(`recover: ${message}`);
    void audit.record({ what, path, trigger: 'manual', result: 'ok' });
    return done;
  } catch (error) {
    if (!isBackupError(error)) throw error;
    log.error(`recover: ${intent}`, error);
    void audit.record({ what, path, trigger: 'manual', result: error.code });
    void notify.error(errorMessage(error, databaseName(vscode.Uri.file(path))));
    return undefined;
  }
}

/** Writes the runbook that the person looks at as Markdown. `to` is for callers that need not ask. */
export async function exportRunbook(parts: Parts, to?: unknown): Promise<void> {
  const { t } = vscode.l10n;
  const active = parts.runbooks.active?.restore;
  const text = active && exportedRunbook(active);
  if (active === undefined || text === undefined) {
    void notify.info(
      active === undefined
        ? t('Open the runbook of a backup first: Restore…')
        : t('Export is available once the backup has been compared with the live database.'),
    );
    return;
  }
  const uri = to instanceof vscode.Uri ? to : undefined;
  await parts.runbooks.exportTo(text, active.run, uri);
}
