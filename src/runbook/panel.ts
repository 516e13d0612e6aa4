/** The runbook page in an editor tab: one for each restore, brought back after the window was reloaded. */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { basename, join, parse } from 'node:path';
import * as vscode from 'vscode';
import type { CatalogEntry } from '../core/catalog.ts';
import { isBackupError, type BackupError } from '../core/errors.ts';
import type { RestorePlan } from '../core/restore.ts';
import { renderMarkdown } from '../core/runbook.ts';
import type { Audit } from '../editor/audit.ts';
import type { Backups } from '../editor/backups.ts';
import type { BackupsFolder } from '../editor/backupsFolder.ts';
import { Disposables } from '../editor/disposables.ts';
import type { Documents } from '../editor/documents.ts';
import { runbookView } from '../editor/ids.ts';
import { inertLine, notify } from '../editor/inert.ts';
import { recordAs } from '../editor/located.ts';
import type { Log } from '../editor/log.ts';
import { dayAndTime, errorMessage, verdictWord } from '../editor/messages.ts';
import { runTask } from '../editor/runTask.ts';
import type { Settings } from '../editor/settings.ts';
import type { WorkerClient } from '../worker/client.ts';
import { isLoopback, requestHealth } from './health.ts';
import { runbookHtml } from './html.ts';
import { parseMemory, parseToHost, type RunbookState, type ToPage } from './protocol.ts';
import type { Host } from './host.ts';
import { isCopied, isUnderWay, newRun, setAsidesOf, type Run, type RunItem } from './run.ts';
import { RestoreSession } from './session.ts';
import { stateOf, type Wording } from './view.ts';

const lookEveryMs = 2500;
const drawEveryMs = 100;
const mostRemembered = 20;
const memoryKey = 'runbooks';

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

/** All runbooks of this window. */
export class Runbooks implements vscode.WebviewPanelSerializer, vscode.Disposable {
  readonly #parts: RunbookParts;
  readonly #owned = new Disposables();
  readonly #open = new Map<string, Page>();
  /** One after the other: a double click opens one page. */
  #opening: Promise<unknown> = Promise.resolve();
  #isDisposed = false;

  constructor(parts: RunbookParts) {
    this.#parts = parts;
    this.#owned.add(vscode.window.registerWebviewPanelSerializer(runbookView, this));
  }

  /** Opens the page for a backup and the live databases it may go to; the one that is open already is shown. */
  open(backup: string, items: RunItem[]): Promise<RestoreSession> {
    const opened = this.#opening.then(() => this.#openOne(backup, items));
    this.#opening = opened.catch(() => undefined);
    return opened;
  }

  async #openOne(backup: string, items: RunItem[]): Promise<RestoreSession> {
    const isSame = (run: Run): boolean =>
      run.backup === backup && run.ending === undefined && namesIn(run.items) === namesIn(items);
    const same = [...this.#open.values()].find(({ session: { run } }) => isSame(run));
    if (same !== undefined) {
      same.reveal();
      return same.session;
    }
    // Whoever closed the page in the middle goes on there.
    const begun = this.unfinished.find(isSame);
    const id = `r${randomBytes(8).toString('hex')}`;
    return this.#showNew(begun ?? newRun(id, backup, items, new Date()));
  }

  #showNew(run: Run): Promise<RestoreSession> {
    const names = run.items.map(({ live }) => inertLine(basename(live))).join(', ');
    const title = vscode.l10n.t('Restore {0}', names);
    const panel = vscode.window.createWebviewPanel(runbookView, title, vscode.ViewColumn.Active);
    return this.#show(panel, run);
  }

  /** The page that the person looks at, or the only one. */
  get active(): RestoreSession | undefined {
    const pages = [...this.#open.values()];
    return (pages.find(({ isActive }) => isActive) ?? (pages.length === 1 ? pages[0] : undefined))
      ?.session;
  }

  async deserializeWebviewPanel(panel: vscode.WebviewPanel, memory: unknown): Promise<void> {
    const id = parseMemory(memory)?.runbook;
    // A page that was closed too soon has remembered nothing. What was left in the middle is what it was about.
    const left = this.unfinished.filter((one) => !this.#open.has(one.id));
    const run =
      id === undefined ? (left.length === 1 ? left[0] : undefined) : this.#remembered()[id];
    if (run === undefined) {
      panel.dispose();
      return;
    }
    await this.#show(panel, run);
  }

  /** Whether the page of the restore with this id of the core is there. */
  isOpen(id: string): boolean {
    return [...this.#open.values()].some(({ session: { run } }) => run.moved?.id === id);
  }

  /** The restores that a crash or a reload has left in the middle. */
  get unfinished(): Run[] {
    return Object.values(this.#remembered()).filter((run) => isUnderWay(run) && !isCopied(run));
  }

  /** Shows the page of a remembered restore again. */
  async resume(run: Run): Promise<void> {
    const page = this.#open.get(run.id);
    if (page !== undefined) return page.reveal();
    await this.#showNew(run);
  }

  dispose(): void {
    this.#isDisposed = true;
    for (const page of this.#open.values()) page.dispose();
    this.#owned.dispose();
  }

  async #show(panel: vscode.WebviewPanel, run: Run): Promise<RestoreSession> {
    let isClosed = false;
    panel.onDidDispose(() => (isClosed = true));
    const host = await this.#hostFor(run);
    const session = new RestoreSession(run, host);
    if (isClosed) return session;
    const page = new Page(panel, session, this.#parts, this.#wording(run));
    this.#open.set(run.id, page);
    panel.onDidDispose(() => {
      this.#open.delete(run.id);
      page.dispose();
      void this.#offerReturn(run);
    });
    page.start();
    await this.#save(run);
    return session;
  }

  /** Whoever closes the page between the steps is told what is live, and finds the way back. */
  async #offerReturn(run: Run): Promise<void> {
    if (this.#isDisposed || !isUnderWay(run)) return;
    const names = run.items
      .filter(({ chosen }) => chosen)
      .map(({ live }) => nameOf(live))
      .join(', ');
    const back = vscode.l10n.t('Open Runbook');
    const text = isCopied(run)
      ? vscode.l10n.t('{0} is restored. The old database is still kept.', names)
      : vscode.l10n.t('The restore of {0} is not finished: the old database is live.', names);
    if ((await notify.info(text, back)) === back) await this.resume(run);
  }

  #remembered(): Record<string, Run> {
    return this.#parts.memory.get<Record<string, Run>>(memoryKey) ?? {};
  }

  async #save(run: Run): Promise<void> {
    const others = Object.values(this.#remembered())
      .filter(({ id }) => id !== run.id)
      .sort(
        (a, b) =>
          Number(isUnderWay(b)) - Number(isUnderWay(a)) || b.startedAt.localeCompare(a.startedAt),
      )
      .slice(0, mostRemembered - 1);
    const all = Object.fromEntries([run, ...others].map((one) => [one.id, one]));
    await this.#parts.memory.update(memoryKey, all);
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
      healthUrl: restore.healthUrl,
      recordAs: (path) => recordAs(vscode.Uri.file(path)),
      nameOf: (path) => vscode.workspace.asRelativePath(vscode.Uri.file(path)),
      exists: existsSync,
      freePath,
      explain,
      confirm: async ({ message, detail, yes }) =>
        (await notify.confirm(message, detail, yes)) === yes,
      runTask,
      askHealth: async (url) => {
        // The address is a restricted setting; a folder that is not trusted is not asked for whatever it listens to.
        if (!vscode.workspace.isTrusted) {
          const text = vscode.l10n.t('{0} was not asked: this folder is not trusted.', url);
          return { ok: false, text };
        }
        if (isLoopback(url) || (await askToLeave(url))) return requestHealth(url);
        return { ok: false, text: vscode.l10n.t('{0} was not asked.', url) };
      },
      showSchema: (plan, item) => this.#showSchema(plan, item),
      exportRunbook: async (plan, one) => {
        try {
          await this.exportTo(plan, one);
        } catch (error) {
          const reason = error instanceof Error ? error.message : String(error);
          log.error('The runbook was not written', error);
          void notify.error(vscode.l10n.t('The runbook was not written: {0}', reason));
        }
      },
      save: (one) => this.#save(one),
      note: (what, text, result) => {
        if (isBackupError(result)) log.error(`${what} failed: ${text}`, result);
        else log.info(`${what}: ${text}`);
        const code = isBackupError(result) ? result.code : result;
        void audit.record({ what, path: run.backup, trigger: 'manual', result: code });
        if (!isBackupError(result)) {
          this.#parts.backups
            .refresh()
            .catch((error: unknown) => log.error('Looking again failed', error));
        }
      },
      t: (message, ...values) => vscode.l10n.t(message, ...values),
    };
  }

  #wording({ backup, items: [first] }: Run): Wording {
    const entry = this.#parts.backups.entries.find(({ path }) => path === backup);
    return {
      day: (iso) => dayAndTime(iso, Date.now()),
      time: (iso) => new Date(iso).toLocaleTimeString(vscode.env.language),
      verdict: verdictWord,
      shell: process.platform === 'win32' ? 'powershell' : 'posix',
      spotChecks: this.#parts.settings.restore(first && vscode.Uri.file(first.live)).spotChecks,
      backupFacts: entry === undefined ? [] : factsOf(entry),
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

  /** Writes the runbook, filled in, as Markdown. Asks where unless `to` says so; the written file, or undefined. */
  async exportTo(plan: RestorePlan, run: Run, to?: vscode.Uri): Promise<void> {
    const [first] = run.items;
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
    const options = { now: new Date(run.startedAt), setAsides: setAsidesOf(run) };
    const text = renderMarkdown(plan, options, run.log);
    await vscode.workspace.fs.writeFile(uri, Buffer.from(text));
    await vscode.window.showTextDocument(uri, {
      preview: false,
      viewColumn: vscode.ViewColumn.Beside,
    });
  }
}

/** An address on another machine may come from the workspace. */
async function askToLeave(url: string): Promise<boolean> {
  const yes = vscode.l10n.t('Ask It');
  const question = vscode.l10n.t(
    'Ask {0}, which is not on this machine, how the application is?',
    url,
  );
  return (await notify.confirm(question, '', yes)) === yes;
}

function nameOf(path: string | undefined): string {
  return path === undefined ? '' : vscode.workspace.asRelativePath(vscode.Uri.file(path));
}

function namesIn(items: RunItem[]): string {
  return JSON.stringify(items.map(({ live, member }) => [live, member ?? null]));
}

/** A backup or a restore that ended unexpectedly is not the same to a person. */
function explain(error: BackupError): string {
  if (error.code === 'worker-died') {
    return vscode.l10n.t(
      'It ended unexpectedly. This page shows what is live, as the disk says; the log has the details.',
    );
  }
  const isOfLive = ['corrupt', 'not-a-database', 'encrypted-or-not-sqlite', 'access'];
  if (!isOfLive.includes(error.code)) return errorMessage(error, nameOf(error.path));
  return [error.message, error.hint].filter((part) => part !== undefined).join(' ');
}

function freePath(path: string): string {
  const { dir, name, ext } = parse(path);
  for (let attempt = 1; ; attempt++) {
    const candidate = attempt === 1 ? path : join(dir, `${name}-${attempt}${ext}`);
    if (!existsSync(candidate)) return candidate;
  }
}

function factsOf({ kept }: CatalogEntry): string[] {
  return [
    ...(kept === undefined ? [] : [kept.method]),
    ...(kept?.note === undefined ? [] : [`“${kept.note}”`]),
  ];
}

/** One panel: pushes the state, and takes nothing from the page but ids that it was shown. */
class Page implements vscode.Disposable {
  readonly session: RestoreSession;
  readonly #panel: vscode.WebviewPanel;
  readonly #parts: RunbookParts;
  readonly #wording: Wording;
  readonly #owned = new Disposables();
  #shown: RunbookState | undefined;
  #drawTimer: NodeJS.Timeout | undefined;

  constructor(
    panel: vscode.WebviewPanel,
    session: RestoreSession,
    parts: RunbookParts,
    wording: Wording,
  ) {
    this.session = session;
    this.#panel = panel;
    this.#parts = parts;
    this.#wording = wording;
  }

  get isActive(): boolean {
    return this.#panel.active;
  }

  reveal(): void {
    this.#panel.reveal();
  }

  start(): void {
    const { webview } = this.#panel;
    const { extensionUri } = this.#parts;
    const at = (...path: string[]): string =>
      webview.asWebviewUri(vscode.Uri.joinPath(extensionUri, ...path)).toString();
    webview.options = {
      enableScripts: true,
      enableForms: false,
      localResourceRoots: ['dist', 'media'].map((path) => vscode.Uri.joinPath(extensionUri, path)),
    };
    this.#panel.iconPath = {
      light: vscode.Uri.joinPath(extensionUri, 'media', 'runbook-light.svg'),
      dark: vscode.Uri.joinPath(extensionUri, 'media', 'runbook-dark.svg'),
    };
    this.#owned.add(webview.onDidReceiveMessage((message) => this.#receive(message)));
    this.#owned.add(this.#panel.onDidChangeViewState(() => this.#draw()));
    this.#owned.add(this.session.onDidChange(() => this.#drawSoon()));
    const watching = setInterval(() => {
      if (this.#panel.visible) this.#run(this.session.look());
    }, lookEveryMs);
    this.#owned.add({ dispose: () => clearInterval(watching) });
    webview.html = runbookHtml({
      cspSource: webview.cspSource,
      script: at('dist', 'runbook.js'),
      style: at('media', 'runbook.css'),
      language: vscode.env.language,
      title: this.#panel.title,
    });
    this.#run(this.session.open());
  }

  dispose(): void {
    clearTimeout(this.#drawTimer);
    this.session.dispose();
    this.#owned.dispose();
  }

  #receive(raw: unknown): void {
    // What was pressed must have been shown, and still hold: the page may be a tenth of a second behind.
    const shown = parseToHost(raw, this.#shown);
    const isEarly = 'message' in shown && 'ready' in shown.message;
    const parsed =
      'refused' in shown || isEarly
        ? shown
        : parseToHost(raw, stateOf(this.session, this.#wording));
    if ('refused' in parsed) {
      this.#parts.log.warn(
        `The runbook page sent something that was not offered: ${parsed.refused}`,
      );
      this.#draw();
      return;
    }
    const { message } = parsed;
    if ('ready' in message) this.#draw();
    else if ('trouble' in message) this.#parts.log.warn(`The runbook page: ${message.trouble}`);
    else if ('copy' in message) this.#run(this.#copy(message.copy));
    else if ('act' in message) this.#run(this.session.act(message.act));
    else if ('tick' in message) this.#run(this.session.tick(message.tick, message.value));
  }

  async #copy(copy: Extract<ToPage, { copied: unknown }>['copied']): Promise<void> {
    const commands = this.#shown?.steps.find(({ id }) => id === copy.step)?.commands;
    if (commands === undefined) return;
    await vscode.env.clipboard.writeText(commands[copy.shell]);
    await this.#panel.webview.postMessage({ copied: copy } satisfies ToPage);
  }

  /** Progress comes faster than anybody reads. */
  #drawSoon(): void {
    this.#drawTimer ??= setTimeout(() => this.#draw(), drawEveryMs);
  }

  #draw(): void {
    clearTimeout(this.#drawTimer);
    this.#drawTimer = undefined;
    // A hidden page gets no messages; it is told all again when it is seen.
    if (!this.#panel.visible) return;
    this.#shown = stateOf(this.session, this.#wording);
    void this.#panel.webview.postMessage({ state: this.#shown } satisfies ToPage);
  }

  #run(work: Promise<void>): void {
    work.catch((error: unknown) => {
      this.#parts.log.error('The runbook ran into a defect of its own', error);
      const message = vscode.l10n.t(
        'SQLite Backup ran into a defect of its own. The log has the details.',
      );
      void notify.error(message);
    });
  }
}
