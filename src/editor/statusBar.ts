import * as vscode from 'vscode';
import { newestNotDamaged } from './attention.ts';
import type { Backups, Database } from './backups.ts';
import { Disposables } from './disposables.ts';
import { commands } from './contributed.ts';
import { views } from './ids.ts';
import { inert, inertLine } from './inert.ts';
import { attentionSummary, databaseName, progressText, verdictWord } from './messages.ts';
import { errorMessage } from './errorMessages.ts';
import { exactTime, relativeTime } from './times.ts';
import type { Settings, StatusBarSettings } from './settings.ts';

const agesRefreshMs = 30_000;

/** One item: what is going on, else when the last backup was. Hidden when the workspace has no database. */
export class StatusBar implements vscode.Disposable {
  readonly #backups: Backups;
  readonly #owned = new Disposables();
  readonly #item: vscode.StatusBarItem;

  readonly #settings: Settings;

  /** What else to say in the tooltip. */
  readonly #more: () => string[];

  constructor(backups: Backups, settings: Settings, more: StatusBarMore) {
    this.#backups = backups;
    this.#more = more.lines;
    for (const onDidChange of more.changes) this.#owned.add(onDidChange(() => this.#show()));
    this.#settings = settings;
    this.#item = this.#owned.add(
      vscode.window.createStatusBarItem('sqliteBackup.status', vscode.StatusBarAlignment.Left),
    );
    this.#item.name = 'SQLite Backup';
    this.#owned.add(backups.onDidChange(() => this.#show()));
    this.#owned.add(settings.onDidChange(() => this.#show()));
    const ages = setInterval(() => this.#show(), agesRefreshMs);
    this.#owned.add({ dispose: () => clearInterval(ages) });
  }

  dispose(): void {
    this.#owned.dispose();
  }

  #show(): void {
    const { databases } = this.#backups;
    const settings = this.#settings.statusBar();
    if (!settings.visible || (databases.length === 0 && !this.#backups.isRunning)) {
      this.#item.hide();
      return;
    }
    const look = describe(databases, settings, Date.now());
    const said = inertLine(look.text);
    const text = settings.text === 'icon' && !look.isWarning ? '' : ` ${said}`;
    this.#item.text = `$(${look.icon})${text}`;
    this.#item.tooltip = inert([look.tooltip, ...this.#more()].join('\n'));
    this.#item.accessibilityInformation = { label: `SQLite Backup: ${said}` };
    this.#item.command = look.command;
    this.#item.backgroundColor = look.isWarning
      ? new vscode.ThemeColor('statusBarItem.warningBackground')
      : undefined;
    this.#item.show();
  }
}

export interface StatusBarMore {
  lines: () => string[];
  changes: vscode.Event<void>[];
}

interface Look {
  icon: string;
  text: string;
  tooltip: string;
  command: string | vscode.Command;
  isWarning: boolean;
}

const clicks: Readonly<Record<StatusBarSettings['click'], string>> = {
  quickBackUp: commands.quickBackUp,
  backUpAll: commands.backUpAll,
  backUp: commands.backUp,
  showView: `${views.databases}.focus`,
};

function describe(
  databases: Database[],
  { text: wanted, click }: StatusBarSettings,
  now: number,
): Look {
  const { t } = vscode.l10n;
  const calm = { command: clicks[click], isWarning: false };
  const running = databases.filter(({ job }) => job !== undefined);
  const [first] = running;
  if (first?.job !== undefined) {
    const text =
      running.length === 1
        ? `${databaseName(first.uri)} ${progressText(first.job, now)}`
        : t('Backing up {0} databases', running.length);
    return {
      icon: 'sync~spin',
      text,
      tooltip:
        running.length === 1
          ? t('Click to cancel.')
          : t('Click to cancel all {0}.', running.length),
      command: commands.cancel,
      isWarning: false,
    };
  }
  const last = databases
    .flatMap((database) => {
      const good = newestNotDamaged(database);
      const entry = good?.bundle === undefined ? database.snapshots[0] : good;
      return entry === undefined ? [] : [{ database, entry }];
    })
    .sort((a, b) => b.entry.createdAt.localeCompare(a.entry.createdAt))[0];
  const failed = databases
    .flatMap(({ uri, failure }) => (failure === undefined ? [] : [{ uri, ...failure }]))
    .sort((a, b) => b.at - a.at)[0];
  // A later success elsewhere is the news; the row keeps the warning.
  if (failed !== undefined && failed.at > Date.parse(last?.entry.createdAt ?? '1970-01-01')) {
    const name = databaseName(failed.uri);
    return {
      icon: 'warning',
      text: t('{0}: backup failed', name),
      tooltip: `${errorMessage(failed.error, name)}\n${t('Click to try {0} again.', name)}`,
      command: { command: commands.backUp, title: '', arguments: [failed.uri] },
      isWarning: true,
    };
  }
  const needing = databases.filter(({ attention }) => attention !== undefined);
  if (wanted === 'attention') {
    return {
      icon: needing.length === 0 ? 'check' : 'database',
      text:
        needing.length === 0
          ? t('All backed up')
          : needing.length === 1
            ? t('1 needs attention')
            : t('{0} need attention', needing.length),
      tooltip: [
        needing.length === 0 ? t('No database needs attention.') : attentionSummary(needing),
        clickHint(click),
      ].join('\n'),
      ...calm,
    };
  }
  if (last === undefined) {
    return {
      icon: 'database',
      text: t('Back Up'),
      tooltip: t('Take a snapshot of a SQLite database.'),
      ...calm,
    };
  }
  const name = databaseName(last.database.uri);
  return {
    icon: 'check',
    text: `${name} ${relativeTime(last.entry.createdAt, now)}`,
    tooltip: [
      t('Last backup: {0}, {1}', name, exactTime(last.entry.createdAt)),
      `${last.entry.path} (${verdictWord(last.entry.verified)})`,
      clickHint(click),
    ].join('\n'),
    ...calm,
  };
}

function clickHint(click: StatusBarSettings['click']): string {
  const { t } = vscode.l10n;
  switch (click) {
    case 'quickBackUp':
      return t('Click to back up.');
    case 'backUpAll':
      return t('Click to back up all databases.');
    case 'backUp':
      return t('Click to choose what to back up.');
    case 'showView':
      return t('Click to show the databases.');
  }
}
