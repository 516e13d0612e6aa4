/** The page that shows what is inside a backup: one for the window, which shows one backup after the other. */
import { stat } from 'node:fs/promises';
import * as vscode from 'vscode';
import type { CatalogEntry } from '../core/catalog/catalog.ts';
import { formatBytes } from '../core/units.ts';
import { runbookHtml } from '../runbook/html.ts';
import { type LookState, parseFromLookPage } from '../runbook/look/protocol.ts';
import { type LookAction, LookSession, type OtherMoment } from '../runbook/look/session.ts';
import { lookState, type LookSubject, type LookWording } from '../runbook/look/state.ts';
import type { Backups } from './backups.ts';
import { Disposables } from './disposables.ts';
import { earlierBackup } from './earlier.ts';
import { commands } from './contributed.ts';
import { lookView } from './ids.ts';
import { inertLine, notify } from './inert.ts';
import { livePathOf } from './livePath.ts';
import { lookSubject } from './lookSubject.ts';
import type { Log } from './log.ts';
import { readManifest } from './manifests.ts';
import { numberText } from './numbers.ts';
import { type CopyParts, privateCopy } from './privateCopies.ts';
import { explain } from './runbookWords.ts';
import { dayAndTime } from './times.ts';
import { backupTitle } from './whichDatabase.ts';

interface LookParts extends CopyParts {
  backups: Backups;
  log: Log;
  extensionUri: vscode.Uri;
}

interface Shown {
  entry: CatalogEntry;
  member: string | undefined;
  session: LookSession;
  subject: LookSubject;
}

const drawEveryMs = 100;

export class Looks implements vscode.Disposable {
  readonly #parts: LookParts;
  readonly #owned = new Disposables();
  #panel: vscode.WebviewPanel | undefined;
  #shown: Shown | undefined;
  /** What the page was sent last. */
  #sent: LookState | undefined;
  #drawTimer: NodeJS.Timeout | undefined;

  constructor(parts: LookParts) {
    this.#parts = parts;
    this.#owned.add(parts.backups.onDidChange(() => void this.#renew()));
  }

  /** `keepsFocus`: the keyboard stays where it is, as in the row that was clicked. */
  async show(entry: CatalogEntry, member?: string, keepsFocus = false): Promise<void> {
    const manifest = await readManifest(entry.path);
    this.#shown?.session.dispose();
    const { backups } = this.#parts;
    const session: LookSession = new LookSession(
      {
        worker: this.#parts.worker,
        path: entry.path,
        member,
        copy: member === undefined ? undefined : () => privateCopy(this.#parts, entry, member),
        moments: await this.#moments(entry, member),
        explain,
        run: (action) => this.#run(action, entry, member),
      },
      () => this.#drawSoon(session),
    );
    const subject = lookSubject(backups, entry, member, manifest);
    this.#shown = { entry, member, session, subject };
    const panel = this.#panel ?? this.#newPanel(keepsFocus);
    panel.title = inertLine(subject.title);
    panel.reveal(undefined, keepsFocus);
    this.#draw();
    await this.#guard(session.start());
  }

  async #moments(entry: CatalogEntry, member: string | undefined): Promise<OtherMoment[]> {
    const { t } = vscode.l10n;
    const { backups } = this.#parts;
    const earlier = earlierBackup(backups.entries, entry, member);
    const live = livePathOf(backups, entry, member);
    const liveBytes = live === undefined ? undefined : await sizeOf(live);
    const inBundle = entry.bundle?.databases.find(({ name }) => name === member);
    const sizeBytes = inBundle?.sizeBytes ?? entry.sizeBytes;
    const before: OtherMoment =
      earlier === undefined
        ? {
            ...{ id: 'before', sizeBytes: 0, title: t('Since the backup before it') },
            ...{ missing: t('There is no earlier backup of it.'), path: () => Promise.resolve('') },
          }
        : {
            id: 'before',
            title: t(
              'Since the backup before it, {0}',
              dayAndTime(earlier.entry.createdAt, Date.now()),
            ),
            sizeBytes: sizeBytes + earlier.entry.sizeBytes,
            path: () =>
              earlier.member === undefined
                ? Promise.resolve(earlier.entry.path)
                : privateCopy(this.#parts, earlier.entry, earlier.member),
          };
    const title = t('Since then, in the live database');
    const now: OtherMoment =
      live === undefined || liveBytes === undefined
        ? {
            ...{ id: 'live', title, sizeBytes: 0, path: () => Promise.resolve('') },
            missing:
              live === undefined
                ? t('The live database of this backup is not in this workspace.')
                : t('There is no file at {0}.', live),
          }
        : {
            id: 'live',
            title,
            sizeBytes: sizeBytes + liveBytes,
            path: () => Promise.resolve(live),
          };
    return [before, now];
  }

  async #run(action: LookAction, entry: CatalogEntry, member: string | undefined): Promise<void> {
    const known = entry.bundle?.members?.find(({ name }) => name === member);
    const row =
      member === undefined
        ? { kind: 'snapshot', entry }
        : {
            ...{ kind: 'member', entry },
            member: known ?? {
              ...{ name: member, kind: 'database' },
              sizeBytes:
                entry.bundle?.databases.find(({ name }) => name === member)?.sizeBytes ?? 0,
            },
          };
    const table: Record<LookAction, string> = {
      restore: commands.restore,
      compare: commands.compareWithLive,
      test: commands.proveRestorable,
      save: commands.saveCopyAs,
      viewer: commands.openReadOnly,
    };
    // A member is restored for trial with its bundle.
    const target = action === 'test' ? { kind: 'snapshot', entry } : row;
    await vscode.commands.executeCommand(table[action], target);
  }

  /** The verdict may be another one now, or the backup gone. */
  async #renew(): Promise<void> {
    const shown = this.#shown;
    if (shown === undefined) return;
    const { backups } = this.#parts;
    const entry = backups.entries.find(({ path }) => path === shown.entry.path) ?? shown.entry;
    const manifest = await readManifest(entry.path);
    if (this.#shown !== shown) return;
    shown.subject = lookSubject(backups, entry, shown.member, manifest);
    shown.entry = entry;
    this.#drawSoon(shown.session);
  }

  #newPanel(preserveFocus: boolean): vscode.WebviewPanel {
    const { extensionUri, log } = this.#parts;
    const at = (...path: string[]): vscode.Uri => vscode.Uri.joinPath(extensionUri, ...path);
    const title = vscode.l10n.t('Backup');
    const place = { viewColumn: vscode.ViewColumn.Active, preserveFocus };
    const panel = vscode.window.createWebviewPanel(lookView, title, place, {
      enableScripts: true,
      enableForms: false,
      localResourceRoots: [at('dist'), at('media')],
    });
    const { webview } = panel;
    panel.iconPath = {
      light: at('media', 'runbook-light.svg'),
      dark: at('media', 'runbook-dark.svg'),
    };
    webview.onDidReceiveMessage((message) => this.#receive(message));
    panel.onDidChangeViewState(() => this.#draw());
    panel.onDidDispose(() => {
      this.#panel = undefined;
      this.#shown?.session.dispose();
      this.#shown = undefined;
    });
    webview.html = runbookHtml({
      cspSource: webview.cspSource,
      script: webview.asWebviewUri(at('dist', 'look.js')).toString(),
      style: webview.asWebviewUri(at('media', 'runbook.css')).toString(),
      moreStyle: webview.asWebviewUri(at('media', 'look.css')).toString(),
      language: vscode.env.language,
      title,
    });
    log.info('The page of a backup is open.');
    this.#panel = panel;
    return panel;
  }

  #receive(raw: unknown): void {
    const parsed = parseFromLookPage(raw, this.#sent);
    if ('refused' in parsed) {
      this.#parts.log.warn(`The page of a backup sent what was not offered: ${parsed.refused}`);
      this.#draw();
    } else if ('act' in parsed.message) {
      const { act } = parsed.message;
      if (this.#shown !== undefined) void this.#guard(this.#shown.session.act(act));
    } else if ('trouble' in parsed.message) {
      this.#parts.log.warn(`The page of a backup: ${parsed.message.trouble}`);
    } else {
      this.#draw();
    }
  }

  #drawSoon(session: LookSession): void {
    if (session !== this.#shown?.session) return;
    this.#drawTimer ??= setTimeout(() => this.#draw(), drawEveryMs);
  }

  /** A hidden page gets no messages; it is told all again when it is seen. */
  #draw(): void {
    clearTimeout(this.#drawTimer);
    this.#drawTimer = undefined;
    if (this.#panel?.visible !== true || this.#shown === undefined) return;
    const { session, subject, entry, member } = this.#shown;
    this.#panel.title = inertLine(backupTitle(this.#parts.backups.names, entry, member));
    this.#sent = lookState(session, subject, wording());
    void this.#panel.webview.postMessage({ state: this.#sent });
  }

  async #guard(work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      this.#parts.log.error('Internal error of the page of a backup', error);
      void notify.error(vscode.l10n.t('Internal error in SQLite Backup. The log has the details.'));
    }
  }

  dispose(): void {
    clearTimeout(this.#drawTimer);
    this.#shown?.session.dispose();
    this.#panel?.dispose();
    this.#owned.dispose();
  }
}

function wording(): LookWording {
  return {
    t: (message, ...values) => vscode.l10n.t(message, ...values),
    number: numberText,
    bytes: formatBytes,
  };
}

function sizeOf(path: string): Promise<number | undefined> {
  return stat(path).then(
    ({ size }) => size,
    () => undefined,
  );
}
