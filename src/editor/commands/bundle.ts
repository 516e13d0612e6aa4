import { basename, dirname } from 'node:path';
import * as vscode from 'vscode';
import { type BackupError, isBackupError } from '../../core/errors.ts';
import { ownLosses } from '../../core/manifest/loss.ts';
import { formatBytes, formatDuration } from '../../core/units.ts';
import { shouldOfferIgnoring } from '../backupsFolder.ts';
import type { BundleOrder, BundleResult } from '../bundleOrder.ts';
import { inertLine, notify } from '../inert.ts';
import { recordAs } from '../located.ts';
import { lossTexts } from '../lossMessages.ts';
import { databaseCount, databaseName, fileCount, verdictWord, warningText } from '../messages.ts';
import { errorMessage } from '../errorMessages.ts';
import { passingCodes, urisOf } from './backUp.ts';
import { type Answers, type Choice, chooseBundle } from './chooseBundle.ts';
import type { Parts } from './parts.ts';
import { ignoreInGit, reveal } from './reveal.ts';

/** Plain data, for callers outside. */
export interface PlainBundle {
  path?: string;
  cut?: string;
  complete?: boolean;
  members: string[];
  failures: { path: string; code: string; message: string }[];
  cancelled: boolean;
}

type Made = NonNullable<BundleResult['bundle']>;

const nothing: PlainBundle = { members: [], failures: [], cancelled: true };

/**
 * Several databases at the same moment, and copies of the files that belong to them, in one zip. Takes rows or Uris, the databases that
 * are ticked in the view, a saved bundle, or asks; `answers` are for callers that need not be asked.
 */
export async function createBundle(
  parts: Parts,
  target?: unknown,
  selection?: unknown,
  answers: Answers = {},
): Promise<PlainBundle> {
  if (!parts.backups.isReady) await parts.backups.refresh();
  const choice = await chooseBundle(parts, urisOf(target, selection) ?? [], answers);
  if (choice === undefined) return nothing;
  const order = await orderFor(parts, choice, answers.allowIncomplete === true);
  return order === undefined ? nothing : make(parts, order);
}

async function orderFor(
  { folder }: Parts,
  { uris, companions, name, method }: Choice,
  allowIncomplete: boolean,
): Promise<BundleOrder | undefined> {
  const [first] = uris;
  if (first === undefined) return undefined;
  const workspaceFolder =
    vscode.workspace.getWorkspaceFolder(first) ?? vscode.workspace.workspaceFolders?.[0];
  const path = (await folder.resolve(workspaceFolder)) ?? (await folder.ask(workspaceFolder));
  if (path === undefined) return undefined;
  const folders = new Set(
    uris.flatMap((uri) => vscode.workspace.getWorkspaceFolder(uri) ?? workspaceFolder ?? []),
  );
  return {
    databases: uris.map((uri) => ({ path: uri.fsPath, recordAs: recordAs(uri) })),
    companions:
      companions.length === 0
        ? []
        : [...folders].map(({ uri }) => ({
            ...{ root: uri.fsPath, globs: companions, workspace: basename(uri.fsPath) },
          })),
    ...{ folder: path, name, method, allowIncomplete },
    workspace: workspaceFolder && basename(workspaceFolder.uri.fsPath),
  };
}

async function make(parts: Parts, order: BundleOrder): Promise<PlainBundle> {
  const result = await tryToMake(parts, order);
  if (isBackupError(result) && result.code === 'cancelled') {
    void notify.info(vscode.l10n.t('Cancelled: no bundle was made.'));
    return nothing;
  }
  // What is wrong with the whole is told like what is wrong with a member, but nothing can be left out then.
  const { bundle, failures } = isBackupError(result)
    ? { bundle: undefined, failures: [{ path: order.folder, error: result }] }
    : result;
  const told =
    bundle === undefined
      ? tellFailure(parts, order, failures)
      : tellDone(parts, order, bundle, failures);
  told.catch((error: unknown) => parts.log.error('Telling the result failed', error));
  return plain(order, { bundle, failures });
}

/** The error when no bundle can be made at all. */
async function tryToMake(
  { backups, log, viewId }: Parts,
  order: BundleOrder,
): Promise<BundleResult | BackupError> {
  try {
    return await vscode.window.withProgress({ location: { viewId } }, () =>
      backups.bundle(order, 'manual'),
    );
  } catch (error) {
    if (!isBackupError(error)) throw error;
    log.error(`The bundle in ${order.folder} failed`, error);
    return error;
  }
}

async function tellFailure(
  parts: Parts,
  order: BundleOrder,
  failures: BundleResult['failures'],
): Promise<void> {
  const { t } = vscode.l10n;
  const [first, ...others] = failures;
  if (first === undefined) return;
  const reason = explain(order, first);
  const message =
    others.length > 0
      ? t('No bundle was made. {0} And {1} more failed.', reason, others.length)
      : t('No bundle was made. {0}', reason);
  const without = inertLine(
    others.length > 0 ? t('Create without Them') : t('Create without {0}', basename(first.path)),
  );
  const [retry, showLog] = [t('Retry'), t('Show Log')];
  const mayPass = failures.some(({ error }) => passingCodes.has(error.code));
  const answer = await notify.error(
    message,
    ...(isWorthwhileWithout(order, failures) ? [without] : []),
    ...(mayPass ? [retry] : []),
    showLog,
  );
  if (answer === without) await make(parts, { ...order, allowIncomplete: true });
  if (answer === retry) await make(parts, order);
  if (answer === showLog) parts.log.show();
}

/** Whether a database is left when everything that failed is left out. */
function isWorthwhileWithout(
  { databases, folder }: BundleOrder,
  failures: BundleResult['failures'],
): boolean {
  const failed = new Set(failures.map(({ path }) => path));
  return !failed.has(folder) && databases.some(({ path }) => !failed.has(path));
}

/** `failures` are what it is without. */
async function tellDone(
  parts: Parts,
  order: BundleOrder,
  bundle: Made,
  failures: BundleResult['failures'],
): Promise<void> {
  const { t } = vscode.l10n;
  const [revealIt, showLog, ignore] = [t('Reveal'), t('Show Log'), t('Ignore in Git')];
  const actions = [revealIt, showLog];
  if (await shouldOfferIgnoring(dirname(bundle.path))) actions.push(ignore);
  const losses = ownLosses(bundle.manifest);
  const message = [doneMessage(order, bundle), ...lossTexts(losses)].join(' ');
  const show = losses.length > 0 ? notify.warn : notify.info;
  const answer =
    failures.length === 0
      ? await show(message, ...actions)
      : await notify.warn(
          t('{0} It is incomplete, without {1}.', message, missingNames(failures)),
          ...actions,
        );
  if (answer === revealIt) await reveal(vscode.Uri.file(bundle.path));
  if (answer === showLog) parts.log.show();
  if (answer === ignore) await ignoreInGit(vscode.Uri.file(dirname(bundle.path)));
}

const mostNamed = 3;

function missingNames(failures: BundleResult['failures']): string {
  const names = failures.map(({ path }) => databaseName(vscode.Uri.file(path)));
  const more = names.length - mostNamed;
  return [
    ...names.slice(0, mostNamed),
    ...(more > 0 ? [vscode.l10n.t('and {0} more', more)] : []),
  ].join(', ');
}

function explain({ folder, name, workspace }: BundleOrder, failure: Failure): string {
  const { path, error } = failure;
  return errorMessage(
    error,
    path === folder ? (name ?? workspace ?? basename(path)) : databaseName(vscode.Uri.file(path)),
  );
}

type Failure = BundleResult['failures'][number];

function doneMessage(order: BundleOrder, { manifest, durationMs }: Made): string {
  const { t } = vscode.l10n;
  const { entries, cut, sizeBytes, verdict } = manifest;
  const databases = entries.filter(({ kind }) => kind === 'database').length;
  const files = entries.length - databases;
  const count = databaseCount(databases);
  const taken =
    databases === 1
      ? count
      : cut.label === 'one-instant'
        ? t('{0} at the same moment', count)
        : t('{0}, each consistent in itself', count);
  // The files were copied later, each at a moment of its own.
  const what =
    files === 0
      ? taken
      : databases === 1
        ? t('{0}, {1} copied beside it', taken, fileCount(files))
        : t('{0}, {1} copied beside them', taken, fileCount(files));
  const facts = t(
    '{0} in {1}, {2}',
    formatBytes(sizeBytes),
    formatDuration(durationMs),
    verdictWord(verdict.status),
  );
  const message = t('Bundled {0}: {1}.', what, facts);
  const note = noteOn(order, manifest);
  return note === undefined ? message : t('{0} Note: {1}', message, note);
}

/** What was noticed, and is good to know at once; all of it is in the log and in the tooltip. */
function noteOn(
  { companions }: BundleOrder,
  { entries, warnings = [] }: Made['manifest'],
): string | undefined {
  const { t } = vscode.l10n;
  const changing = entries.find((one) => one.kind === 'companion' && one.changedWhileReading);
  if (changing !== undefined) {
    return t('{0} changed while it was read, so its copy may be inconsistent.', changing.name);
  }
  // A glob is looked for in each workspace folder, and one that has such files is enough.
  const isNews = ({ code, message }: { code: string; message: string }): boolean =>
    code !== 'no-companions' ||
    warnings.filter((one) => one.message === message).length >= companions.length;
  const first = warnings.find(isNews) ?? entries.flatMap(ofDatabase)[0];
  return first && warningText(first);
}

function ofDatabase(
  entry: Made['manifest']['entries'][number],
): { code: string; message: string }[] {
  return entry.kind === 'database' ? (entry.warnings ?? []) : [];
}

function plain(order: BundleOrder, { bundle, failures }: BundleResult): PlainBundle {
  const manifest = bundle?.manifest;
  return {
    ...(bundle !== undefined && { path: bundle.path }),
    ...(manifest !== undefined && { cut: manifest.cut.label, complete: manifest.complete }),
    members: (manifest?.entries ?? []).map(({ name }) => name),
    failures: failures.map((failure) => ({
      ...{ path: failure.path, code: failure.error.code, message: explain(order, failure) },
    })),
    cancelled: false,
  };
}
