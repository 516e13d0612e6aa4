/** The runbook page in an editor tab: one for each restore, brought back after the window was reloaded. */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { basename, parse } from 'node:path';
import * as vscode from 'vscode';
import { isBackupError } from '../core/errors.ts';
import type { RestorePlan } from '../core/restore/plan.ts';
import { Conversation } from '../runbook/conversation.ts';
import { freePath } from '../runbook/freePath.ts';
import { isLoopback, requestHealth } from '../runbook/health.ts';
import type { Host } from '../runbook/host.ts';
import { runbookHtml } from '../runbook/html.ts';
import { parseMemory } from '../runbook/protocol.ts';
import { RememberedRuns } from '../runbook/rememberedRuns.ts';
import { Restoration } from '../runbook/restoration.ts';
import {
  currentStep,
  isCopied,
  isUnderWay,
  newRun,
  type Run,
  type RunItem,
  setAsidesOf,
} from '../runbook/run.ts';
import { RestoreSession } from '../runbook/session.ts';
import { noteUndone } from '../runbook/steps/undo.ts';
import type { Wording } from '../runbook/view/wording.ts';
import { undoneWords } from '../runbook/words.ts';
import { elsewhereMarkdown } from '../core/runbook/elsewhere.ts';
import type { WorkerClient } from '../worker/client.ts';
import type { Audit } from './audit.ts';
import type { Backups } from './backups.ts';
import type { BackupsFolder } from './backupsFolder.ts';
import { reveal } from './commands/reveal.ts';
import { setContext } from './contexts.ts';
import { commands } from './contributed.ts';
import { Disposables } from './disposables.ts';
import type { Documents } from './documents.ts';
import { contextKeys, runbookView } from './ids.ts';
import { inertLine, notify } from './inert.ts';
import { recordAs } from './located.ts';
import type { Log } from './log.ts';
import { verdictWord } from './messages.ts';
import { valueText } from './numbers.ts';
import { dayAndTime, secondOfDay } from './times.ts';
import { explain, factsOf, nameOf } from './runbookWords.ts';
import { runTask } from './runTask.ts';
import { said } from './said.ts';
import type { Settings } from './settings.ts';

export interface RunbookParts {
  worker: WorkerClient;
  settings: Settings;
  backups: Backups;
  folder: BackupsFolder;
  documents: Documents;
  log: Log;
  audit: Audit;
  memory: vscode.Memento;
  extensionUri: vscode.Uri;
  toolVersion: string;
}

interface Page {
  panel: vscode.WebviewPanel;
  conversation: Conversation;
}

/** All runbooks of this window. */
export class Runbooks implements vscode.WebviewPanelSerializer, vscode.Disposable {
  readonly #parts: RunbookParts;
  readonly #remembered: RememberedRuns;
  readonly #owned = new Disposables();
  readonly #open = new Map<string, Page>();
  /** One after the other: a double click opens one page. */
  #opening: Promise<unknown> = Promise.resolve();
  #isDisposed = false;

  constructor(parts: RunbookParts) {
    this.#parts = parts;
    this.#remembered = new RememberedRuns(parts.memory);
    this.#owned.add(vscode.window.registerWebviewPanelSerializer(runbookView, this));
  }

  /** Opens the page for a backup and the live databases it may go to; the one that is open already is shown. */
  open(backup: string, items: RunItem[]): Promise<RestoreSession> {
    const opened = this.#opening.then(() => this.#openOne(backup, items));
    this.#opening = opened.catch(() => undefined);
    return opened;
  }

  async #openOne(backup: string, items: RunItem[]): Promise<RestoreSession> {
    // A restore that is asked for again after all was done is another one.
    const isSame = (run: Run): boolean =>
      run.backup === backup &&
      currentStep(run) !== undefined &&
      namesIn(run.items) === namesIn(items);
    const same = this.#pages.find((page) => isSame(page.conversation.session.restore.run));
    if (same !== undefined) {
      same.panel.reveal();
      return same.conversation.session;
    }
    // A page that was closed in the middle goes on there.
    const begun = this.unfinished.find(isSame);
    const id = `r${randomBytes(8).toString('hex')}`;
    return this.#showNew(begun ?? newRun(id, backup, items, new Date()));
  }

  #showNew(run: Run): Promise<RestoreSession> {
    const names = run.items.map(({ live }) => inertLine(nameOf(live))).join(', ');
    const title = vscode.l10n.t('Restore {0}', names);
    const panel = vscode.window.createWebviewPanel(runbookView, title, vscode.ViewColumn.Active);
    return this.#show(panel, run);
  }

  get #pages(): Page[] {
    return [...this.#open.values()];
  }

  /** Of the page that the person looks at, or of the only one. */
  get active(): RestoreSession | undefined {
    const pages = this.#pages;
    const active = pages.find(({ panel }) => panel.active);
    return (active ?? (pages.length === 1 ? pages[0] : undefined))?.conversation.session;
  }

  async deserializeWebviewPanel(panel: vscode.WebviewPanel, memory: unknown): Promise<void> {
    const id = parseMemory(memory)?.runbook;
    // A page that was closed too soon has remembered nothing. What was left in the middle is what it was about.
    const left = this.unfinished.filter((one) => !this.#open.has(one.id));
    const run =
      id === undefined ? (left.length === 1 ? left[0] : undefined) : this.#remembered.find(id);
    // A tab in the background comes back when it is looked at; until then its restore may have got another page.
    if (run === undefined || this.#open.has(run.id)) {
      panel.dispose();
      return;
    }
    await this.#show(panel, run);
  }

  /** Whether the page of the restore with this id of the core is there. */
  isOpen(id: string): boolean {
    return this.#pages.some(
      ({ conversation: { session } }) => session.restore.run.moved?.id === id,
    );
  }

  /** The restores that a crash or a reload has left in the middle. */
  get unfinished(): Run[] {
    return this.#remembered.unfinished;
  }

  /** The restore that has kept a previous database under this path, as far as it is remembered. */
  keeperOf(setAside: string): Run | undefined {
    const runs = this.#pages.map(({ conversation: { session } }) => session.restore.run);
    return [...runs, ...this.#remembered.all].find((run) => setAsidesOf(run).includes(setAside));
  }

  /** A previous database was put back without a page. */
  async noteUndone(setAside: string, kept: string[]): Promise<void> {
    const run = this.keeperOf(setAside);
    if (run === undefined) return;
    const open = this.#open.get(run.id)?.conversation.session.restore;
    const restore = open ?? new Restoration(run, await this.#hostFor(run));
    await noteUndone(restore, setAside, undoneWords(kept, restore.host));
  }

  /** Shows the page of a remembered restore again. */
  async resume(run: Run): Promise<void> {
    const page = this.#open.get(run.id);
    if (page !== undefined) return page.panel.reveal();
    await this.#showNew(run);
  }

  dispose(): void {
    this.#isDisposed = true;
    for (const { conversation } of this.#pages) conversation.dispose();
    this.#owned.dispose();
  }

  async #show(panel: vscode.WebviewPanel, run: Run): Promise<RestoreSession> {
    let isClosed = false;
    panel.onDidDispose(() => (isClosed = true));
    const host = await this.#hostFor(run);
    const session = new RestoreSession(run, host);
    if (isClosed) return session;
    const conversation = this.#converse(panel, session);
    this.#open.set(run.id, { panel, conversation });
    panel.onDidDispose(() => {
      this.#open.delete(run.id);
      conversation.dispose();
      void this.#offerReturn(run);
    });
    await this.#remembered.save(run);
    return session;
  }

  #converse(panel: vscode.WebviewPanel, session: RestoreSession): Conversation {
    const { webview } = panel;
    const { extensionUri, log } = this.#parts;
    const at = (...path: string[]): vscode.Uri => vscode.Uri.joinPath(extensionUri, ...path);
    const conversation = new Conversation(session, this.#wording(session.restore.run), {
      isVisible: () => panel.visible,
      post: (message) => void webview.postMessage(message),
      copy: async (text) => vscode.env.clipboard.writeText(text),
      warn: (text) => log.warn(text),
      defect: (error) => {
        log.error('Internal error of the runbook', error);
        void notify.error(
          vscode.l10n.t('Internal error in SQLite Backup. The log has the details.'),
        );
      },
    });
    // Both end with the panel.
    webview.onDidReceiveMessage((message) => conversation.receive(message));
    panel.onDidChangeViewState(() => conversation.draw());
    panel.iconPath = {
      light: at('media', 'runbook-light.svg'),
      dark: at('media', 'runbook-dark.svg'),
    };
    webview.options = {
      enableScripts: true,
      enableForms: false,
      localResourceRoots: [at('dist'), at('media')],
    };
    webview.html = runbookHtml({
      cspSource: webview.cspSource,
      script: webview.asWebviewUri(at('dist', 'runbook.js')).toString(),
      style: webview.asWebviewUri(at('media', 'runbook.css')).toString(),
      language: vscode.env.language,
      title: panel.title,
    });
    conversation.start();
    return conversation;
  }

  /** A person who closes the page between the steps is told how it stands, and finds the way back. */
  async #offerReturn(run: Run): Promise<void> {
    if (this.#isDisposed || !isUnderWay(run)) return;
    const names = run.items
      .filter(({ chosen }) => chosen)
      .map(({ live }) => nameOf(live))
      .join(', ');
    const back = vscode.l10n.t('Open Runbook');
    const text = isCopied(run)
      ? vscode.l10n.t('{0} is restored. The previous database is still kept.', names)
      : vscode.l10n.t(
          'The restore of {0} is not finished. Open the runbook to continue or to undo it.',
          names,
        );
    if ((await notify.info(text, back)) === back) await this.resume(run);
  }

  async #hostFor(run: Run): Promise<Host> {
    const { worker, settings, folder, log, audit, toolVersion } = this.#parts;
    const [first] = run.items;
    const uri = first && vscode.Uri.file(first.live);
    const workspaceFolder = uri && vscode.workspace.getWorkspaceFolder(uri);
    const restore = settings.restore(uri);
    return {
      ...{ worker, toolVersion },
      backupsFolder: await folder.resolve(
        workspaceFolder ?? vscode.workspace.workspaceFolders?.[0],
      ),
      tasks: { stop: restore.stopTask, start: restore.startTask },
      extensionsPid: process.pid,
      largestBytes: settings.largestBytes(uri),
      isTrusted: () => vscode.workspace.isTrusted,
      healthUrl: restore.healthUrl,
      recordAs: (path) => recordAs(vscode.Uri.file(path)),
      nameOf,
      exists: existsSync,
      freePath,
      explain,
      confirm: async ({ message, detail, yes, no }) =>
        no === undefined
          ? (await notify.confirm(message, detail, yes)) === yes
          : notify.confirmFinal(message, detail, { yes, no }),
      runTask,
      askHealth: async (url) => {
        // The address is a restricted setting; a folder that is not trusted is not asked for whatever it listens to.
        if (!vscode.workspace.isTrusted) {
          const text = vscode.l10n.t('{0} was not requested: this folder is not trusted.', url);
          return { ok: undefined, text };
        }
        if (isLoopback(url) || (await askToLeave(url))) return requestHealth(url);
        return { ok: undefined, text: vscode.l10n.t('{0} was not requested.', url) };
      },
      showFile: async (how, path, live) => {
        const file = vscode.Uri.file(path);
        if (how === 'reveal') await reveal(file);
        else if (how === 'look') await vscode.commands.executeCommand(commands.lookInside, file);
        else await vscode.commands.executeCommand(commands.compareWithLive, file, undefined, live);
      },
      restoreAgain: async ({ backup, items }) => {
        await this.open(backup, items);
      },
      showSchema: (plan, item) => this.#showSchema(plan, item),
      exportRunbook: async (text, one) => {
        try {
          await this.exportTo(text, one);
        } catch (error) {
          const reason = error instanceof Error ? error.message : String(error);
          log.error('The runbook was not written', error);
          void notify.error(vscode.l10n.t('The runbook was not written: {0}', reason));
        }
      },
      save: (one) => this.#remembered.save(one),
      note: (what, text, result) => {
        if (isBackupError(result)) log.error(`${what} failed: ${text}`, result);
        else log.info(`${what}: ${text}`);
        const code = isBackupError(result) ? result.code : result;
        void audit.record({ what, path: run.backup, trigger: 'manual', result: code });
        if (!isBackupError(result)) {
          if (what === 'restore') setContext(contextKeys.restored, true);
          this.#parts.backups
            .refresh()
            .catch((error: unknown) => log.error('The refresh failed', error));
        }
      },
      // Sentences of the core come without values, as they are shown.
      t: (message, ...values) =>
        values.length === 0 ? said(message) : vscode.l10n.t(message, ...values.map(valueText)),
    };
  }

  #wording({ backup, items: [first] }: Run): Wording {
    const { backups } = this.#parts;
    return {
      day: (iso) => dayAndTime(iso, Date.now()),
      time: secondOfDay,
      verdict: ({ verified, outOfStep, findings }) => verdictWord(verified, outOfStep, findings),
      shell: process.platform === 'win32' ? 'powershell' : 'posix',
      spotChecks: this.#parts.settings.restore(first && vscode.Uri.file(first.live)).spotChecks,
      // The backups may not have been listed yet when the page comes back after a reload.
      get backupFacts() {
        return factsOf(backups.entries.find(({ path }) => path === backup));
      },
    };
  }

  async #showSchema(plan: RestorePlan, index: number): Promise<void> {
    const item = plan.items[index];
    if (item === undefined) return;
    const { worker, documents } = this.#parts;
    const names = [basename(item.target), basename(plan.backup)] as const;
    const schemas = [
      await worker.call('schema', { path: item.target }),
      await worker.call('schema', {
        path: plan.backup,
        ...(item.member !== undefined && { member: item.member }),
      }),
    ];
    const uris = schemas.map((text, side) => documents.add(`${names[side] ?? ''}.sql`, text));
    const title = vscode.l10n.t('Schema: {0} ↔ {1}', ...names);
    await vscode.commands.executeCommand('vscode.diff', ...uris, title, { preview: false });
  }

  /** Asks where to write it unless `to` says so, and shows it. */
  async exportTo(text: string, { backup, items: [first] }: Run, to?: vscode.Uri): Promise<void> {
    const { worker, settings } = this.#parts;
    const stem = first === undefined ? 'database' : parse(first.live).name;
    const folder = vscode.workspace.workspaceFolders?.[0]?.uri;
    const uri =
      to ??
      (await vscode.window.showSaveDialog({
        title: vscode.l10n.t('Export Runbook'),
        filters: { Markdown: ['md'] },
        ...(folder !== undefined && {
          defaultUri: vscode.Uri.joinPath(folder, `restore-${stem}.md`),
        }),
      }));
    if (uri === undefined) return;
    const destinations = vscode.workspace.isTrusted ? settings.offsite() : [];
    const copies = await worker.call('offsiteByHand', { backup, destinations });
    await vscode.workspace.fs.writeFile(uri, Buffer.from(text + elsewhereMarkdown(copies)));
    await vscode.window.showTextDocument(uri, {
      preview: false,
      viewColumn: vscode.ViewColumn.Beside,
    });
  }
}

/** An address on another machine may come from the workspace. */
async function askToLeave(url: string): Promise<boolean> {
  const yes = vscode.l10n.t('Request');
  const question = vscode.l10n.t('Request {0}? The address is not on this machine.', url);
  return (await notify.confirm(question, '', yes)) === yes;
}

function namesIn(items: RunItem[]): string {
  return JSON.stringify(items.map(({ live, member }) => [live, member ?? null]));
}
