import { existsSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import * as vscode from 'vscode';
import type { CatalogEntry } from '../../core/catalog/catalog.ts';
import { BackupError, isBackupError } from '../../core/errors.ts';
import type { RestorePlan } from '../../core/restore/plan.ts';
import type { Interrupted, Recovered } from '../../core/restore/recovery.ts';
import type { SetAside } from '../../core/restore/setAside.ts';
import { exportedRunbook } from '../../runbook/exportedRunbook.ts';
import { questionBeforeUndo } from '../../runbook/questions.ts';
import { isCopied, type RunItem } from '../../runbook/run.ts';
import { writtenSince } from '../../runbook/writtenSince.ts';
import { inertLine, notify } from '../inert.ts';
import { livePathOf } from '../livePath.ts';
import { databaseName, dayAndTime, errorMessage, verdictWord } from '../messages.ts';
import { isRow } from '../rows.ts';
import { memberRows } from './members.ts';
import type { Parts } from './parts.ts';
import { backupsFor, withCancel } from './selection.ts';

/**
 * Opens the runbook of a backup, or of a member of a bundle. A row of a database asks which of its backups; nothing asks
 * among all.
 */
export async function restore(parts: Parts, target?: unknown): Promise<{ runbook?: string }> {
  const [row] = memberRows(target, undefined);
  const entry = row?.entry ?? (await backupToRestore(parts, target));
  if (entry === undefined) return {};
  const items = await itemsFor(parts, entry, row?.member.name);
  if (items.length === 0) return {};
  const { restore: opened } = await parts.runbooks.open(entry.path, items);
  return { runbook: opened.run.id };
}

async function backupToRestore(parts: Parts, target: unknown): Promise<CatalogEntry | undefined> {
  const { backups } = parts;
  const row = isRow(target) ? target : undefined;
  const uri =
    target instanceof vscode.Uri ? target : row?.kind === 'database' ? row.uri : undefined;
  const gone =
    row?.kind === 'gone' ? backups.gone.find(({ path }) => path === row.path) : undefined;
  const own = uri === undefined ? gone?.snapshots : backups.find(uri)?.snapshots;
  if (own === undefined) {
    const [entry] = await backupsFor(parts, target, undefined, { several: false });
    return entry;
  }
  // What is known to be damaged is not offered; its own row still opens the runbook, which says why not.
  const usable = own.filter(({ verified }) => verified !== 'damaged');
  if (usable.length === 0) {
    void notify.info(vscode.l10n.t('There is no good backup of it.'));
    return undefined;
  }
  const items = usable.map((entry) => ({
    label: dayAndTime(entry.createdAt, Date.now()),
    description: `${inertLine(basename(entry.path))} · ${verdictWord(entry.verified)}`,
    entry,
  }));
  const placeHolder = vscode.l10n.t('Backup to restore');
  return (await vscode.window.showQuickPick(items, { placeHolder }))?.entry;
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
    title: vscode.l10n.t('Which database is {0} to replace?', inertLine(name)),
    saveLabel: vscode.l10n.t('Plan the Restore'),
    ...(folder !== undefined && { defaultUri: vscode.Uri.joinPath(folder, basename(name)) }),
  });
  return picked?.fsPath;
}

/** Who has a database open, by name and number. */
export async function showHolders(
  { backups, worker }: Parts,
  target?: unknown,
): Promise<{ holders: { pid: number; name: string }[] }> {
  const { t } = vscode.l10n;
  const row = isRow(target) ? target : undefined;
  const uri =
    target instanceof vscode.Uri
      ? target
      : row?.kind === 'database'
        ? row.uri
        : (
            await vscode.window.showQuickPick(
              backups.databases.map((one) => ({
                label: inertLine(databaseName(one.uri)),
                uri: one.uri,
              })),
              { placeHolder: t('Database') },
            )
          )?.uri;
  if (uri === undefined) return { holders: [] };
  const { holders, known } = await worker.call('holders', { paths: [uri.fsPath] });
  const name = databaseName(uri);
  const limit = known === 'all' ? '' : t('Programs of other users cannot be seen from here.');
  const who = holders.map((one) => `${one.name} (pid ${one.pid})`).join(', ');
  const message =
    holders.length === 0
      ? t('Nobody is seen to have {0} open.', name)
      : t('{0} is open in {1}.', name, who);
  const text = [message, limit].join(' ').trim();
  void notify.info(text);
  return { holders };
}

/**
 * Puts the old database of a restore back. Asks which, of those that are kept in the workspace. What is live is asked
 * about whoever calls: a Uri may come from a key that somebody has bound long ago, and it says nothing of what was
 * written since the restore.
 */
export async function undoRestore(parts: Parts, target?: unknown): Promise<{ target?: string }> {
  const { t } = vscode.l10n;
  const setAside =
    target instanceof vscode.Uri
      ? await setAsideAt(parts, target)
      : await pickSetAside(parts, t('Put back'));
  if (setAside === undefined) return {};
  if (existsSync(setAside.target) && !(await confirmUndo(parts, setAside))) return {};
  const { toolVersion } = parts;
  const done = await withCancel(t('Putting the old database back'), (signal) =>
    parts.worker.call('undoRestore', { setAside: setAside.path, toolVersion }, { signal }),
  );
  parts.log.info(`undo: ${done.target} is what ${setAside.path} kept.`);
  void parts.audit.record({ what: 'undo', path: done.target, trigger: 'manual', result: 'ok' });
  await parts.runbooks.noteUndone(
    setAside.path,
    done.setAside === undefined ? [] : [done.setAside],
  );
  await parts.backups.refresh();
  void notify.info(t('{0} is the old database again.', databaseName(vscode.Uri.file(done.target))));
  return { target: done.target };
}

async function setAsideAt({ worker }: Parts, { fsPath }: vscode.Uri): Promise<SetAside> {
  const all = await worker.call('listSetAsides', { in: dirname(fsPath) });
  const found = all.find(({ path }) => path === fsPath);
  if (found !== undefined) return found;
  const { t } = vscode.l10n;
  throw new BackupError('bad-name', t('{0} is no old database that a restore has kept.', fsPath), {
    path: fsPath,
    hint: t('Name the file `….bad-<time>Z` that the restore has kept.'),
  });
}

async function confirmUndo(parts: Parts, setAside: SetAside): Promise<boolean> {
  const { message, detail, yes } = questionBeforeUndo(
    [setAside.target],
    { gone: [], added: [] },
    await writtenSinceRestore(parts, setAside),
    {
      t: (text, ...values) => vscode.l10n.t(text, ...values),
      nameOf: (path) => databaseName(vscode.Uri.file(path)),
    },
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
  return withCancel(vscode.l10n.t('Looking what was written since the restore'), (signal) =>
    writtenSince(worker, request, { signal }),
  );
}

/** Deletes an old database that a restore has kept, after asking. */
export async function deleteSetAside(parts: Parts, target?: unknown): Promise<{ path?: string }> {
  const { t } = vscode.l10n;
  const path =
    target instanceof vscode.Uri ? target.fsPath : (await pickSetAside(parts, t('Delete')))?.path;
  if (path === undefined) return {};
  const yes = t('Delete');
  const question = t('Delete the old database {0} for good?', basename(path));
  const detail = t('What only it has is gone then, and the restore cannot be undone any more.');
  if ((await notify.confirm(question, detail, yes)) !== yes) return {};
  await parts.worker.call('deleteSetAside', { path });
  void parts.audit.record({ what: 'clean-up', path, trigger: 'manual', result: 'ok' });
  await parts.backups.refresh();
  return { path };
}

async function pickSetAside(
  { backups, worker }: Parts,
  verb: string,
): Promise<SetAside | undefined> {
  const { t } = vscode.l10n;
  const found = [];
  for (const { uri } of backups.databases) {
    found.push(...(await worker.call('listSetAsides', { in: uri.fsPath })));
  }
  if (found.length === 0) {
    void notify.info(t('No old database of a restore is kept in this workspace.'));
    return undefined;
  }
  const items = found.map((one) => ({
    label: inertLine(basename(one.path)),
    description: inertLine(databaseName(vscode.Uri.file(dirname(one.path)))),
    one,
  }));
  const placeHolder = t('{0} which old database', verb);
  return (await vscode.window.showQuickPick(items, { placeHolder }))?.one;
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

/** At the start of a window: what a crash has left in the middle is offered, and nothing is said otherwise. */
export async function offerRecoveries(parts: Parts): Promise<void> {
  if ((await interruptedRestores(parts)).length === 0) return;
  await new Promise((resolve) => setTimeout(resolve, pagesReturnMs));
  for (const one of await interruptedRestores(parts)) {
    if (!parts.runbooks.isOpen(one.id)) await offerRecovery(parts, one);
  }
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

async function offerRecovery(parts: Parts, one: Interrupted): Promise<boolean> {
  const { t } = vscode.l10n;
  const names = one.items.map(({ realTarget }) => databaseName(vscode.Uri.file(realTarget)));
  const [finish, rollBack, show] = [t('Finish'), t('Roll Back'), t('Open Runbook')];
  const run = parts.runbooks.unfinished.find(({ moved }) => moved?.id === one.id);
  const answer = await notify.warn(
    one.action === 'undo'
      ? t('An undo of the restore of {0} was interrupted. {1}', names.join(', '), one.words)
      : t('A restore of {0} was interrupted. {1}', names.join(', '), one.words),
    ...(one.can.includes('finish') ? [finish] : []),
    ...(one.can.includes('roll-back') ? [rollBack] : []),
    ...(run === undefined ? [] : [show]),
  );
  if (answer === show && run !== undefined) await parts.runbooks.resume(run);
  if (answer !== finish && answer !== rollBack) return false;
  const how = answer === finish ? 'finish' : 'roll-back';
  const done = await recover(parts, one, how);
  if (done === undefined) return false;
  parts.log.info(`recover: ${one.intent}: ${how}`);
  await parts.backups.refresh();
  void notify.info(recoveredWords(one.action, done, names.join(', ')));
  return true;
}

function recoveredWords(
  action: Interrupted['action'],
  { how, items }: Recovered,
  names: string,
): string {
  const { t } = vscode.l10n;
  const others = items.filter(({ live }) => live === 'other');
  if (others.length > 0) {
    const files = others.map(({ realTarget }) => databaseName(vscode.Uri.file(realTarget)));
    return t('Another file is live as {0}, and stays as it is.', files.join(', '));
  }
  if (action === 'undo') {
    return how === 'finish'
      ? t('Finished: {0} is the old database again.', names)
      : t('Rolled back: {0} is the restored database.', names);
  }
  return how === 'finish'
    ? t('Finished: {0} is the backup now.', names)
    : t('Rolled back: {0} is the old database.', names);
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
        : t('It is about restores over the live database that were compared.'),
    );
    return;
  }
  const uri = to instanceof vscode.Uri ? to : undefined;
  await parts.runbooks.exportTo(text, active.run, uri);
}
